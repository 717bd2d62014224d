"""A network built with a recipe's options is built so again from its weights alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from convarium.bakeoff.trained import read_trained
from convarium.cli import main
from convarium.errors import InputError
from train.conftest import Trial

WORDS = "resnet20_cifar --set options.depth=8 --set iterations=1"


@pytest.fixture
def weights(trial: Trial, tmp_path: Path) -> Path:
    """Of a residual network of 8 layers."""
    (end,) = trial(WORDS, 1)
    assert end["code"] == 0, end
    return tmp_path / "run" / "last.safetensors"


def _told_otherwise(weights: Path, options: str) -> Path:
    """The file with other options in its metadata."""
    with safe_open(weights, framework="pt") as file:
        about = {**file.metadata(), "options": options}
    place = weights.with_name("other.safetensors")
    save_file(load_file(weights), place, metadata=about)
    return place


def test_weights_say_their_networks_options(weights: Path, capsys) -> None:
    trained = read_trained(weights)
    assert trained.options == {"depth": 8}
    model = trained.load()
    # 6n + 2 layers (ResNet, section 4.2), n = 1: three blocks of two, a convolution, a classifier.
    layers = [m for m in model.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    assert len(layers) == 8
    words = ["eval", "resnet20_cifar", "--weights", str(weights), "--data", "digits", "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["top1_total"] == 360


def test_what_lies_about_its_options_is_refused_before_memory_is_taken(weights: Path) -> None:
    with pytest.raises(InputError, match="another network's weights"):
        read_trained(_told_otherwise(weights, '{"depth": 1202}')).load()
    with pytest.raises(InputError, match="takes no option 'width'"):
        read_trained(_told_otherwise(weights, '{"width": 2}')).load()
    for odd in ('{"depth": 9}', '{"depth": "8"}', '{"depth": null}', '{"depth": 8.5}'):
        with pytest.raises(InputError):
            read_trained(_told_otherwise(weights, odd)).load()


def test_options_that_are_no_plain_values_are_refused(weights: Path) -> None:
    odd = ["[8]", "{", '{"depth": [8]}', '{"depth": 1e99}', '{"depth": NaN}']
    for options in [*odd, '{"a": "' + "b" * 101 + '"}']:
        with pytest.raises(InputError, match=r"other\.safetensors"):
            read_trained(_told_otherwise(weights, options))
