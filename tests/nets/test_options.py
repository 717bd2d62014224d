"""A builder's options from a stranger, as `--set options.NAME=VALUE` hands them on."""

from __future__ import annotations

import math

import pytest
import torch

from convarium.errors import UsageError
from convarium.nets.build import build

# Network: an option and a value that it cannot have.
REFUSED = (
    ("wrn_16_8", "dropout", 2),
    ("wrn_16_8", "dropout", "much"),
    ("wrn_16_8", "dropout", math.nan),
    ("wrn_16_8", "depth", "deep"),
    ("wrn_16_8", "depth", 17),
    ("wrn_16_8", "widen", -1),
    ("wrn_16_8", "widen", 1.5),
    ("densenet_40_12_cifar", "growth", 0),
    ("mobilenet_v1_050_32px", "alpha", "half"),
    ("vgg_a", "column", "Z"),
    ("nin_cifar10", "table", "mine"),
)


@pytest.mark.parametrize(("name", "option", "value"), REFUSED)
def test_an_option_that_cannot_be_is_one_sentence(name, option, value) -> None:
    with torch.device("meta"), pytest.raises(UsageError) as error:
        build(name, options={option: value})
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_an_option_that_can_be_is_taken() -> None:
    with torch.device("meta"):
        network = build("wrn_16_8", options={"dropout": 0.3})
    rates = {m.p for m in network.modules() if isinstance(m, torch.nn.Dropout)}
    assert rates == {0.3}
