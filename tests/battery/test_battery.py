"""What every network goes through: layouts, precisions, meta, state, and torch.export."""

from __future__ import annotations

import io
import pickle

import pytest
import torch
from torch import nn

import convarium
from battery.conftest import BATCHES, NAMES, ONE_EACH, Subject, rates_at_zero
from convarium import catalog
from convarium.errors import ConvariumError

# Their train mode draws paths that no rate turns off: a sentence says so.
REFUSE_IN_TRAINING = {"fractalnet"}


def test_the_default_run_has_one_network_of_each_family() -> None:
    families = [catalog.find(name).family for name in ONE_EACH]
    assert sorted(families) == sorted({row.family for row in catalog.CATALOG.values()})
    assert len(NAMES) == len(catalog.CATALOG)


def test_channels_last_gives_the_same_numbers(subject: Subject) -> None:
    """Another order of sums: float32 rounding through the layers, 1e-4 of the largest logit."""
    model = subject.model.to(memory_format=torch.channels_last)
    with torch.no_grad():
        found = model(subject.pictures[:2].contiguous(memory_format=torch.channels_last))
    model.to(memory_format=torch.contiguous_format)
    subject.assert_near(found, 1e-4, count=2)


def test_bfloat16_stays_near(subject: Subject) -> None:
    """Eight bits a value, rounded at random through the layers: a tenth of the largest logit."""
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = subject.model(subject.pictures[:2])
    assert found.isfinite().all()
    subject.assert_near(found, 0.1, count=2)


def test_meta_has_the_same_state_and_shapes(subject: Subject) -> None:
    with torch.device("meta"):
        twin = convarium.create_model(subject.name).eval()
    shapes = {key: (v.shape, v.dtype) for key, v in subject.model.state_dict().items()}
    assert {key: (v.shape, v.dtype) for key, v in twin.state_dict().items()} == shapes
    assert all(value.is_meta for value in twin.state_dict().values())
    assert twin(subject.pictures.to("meta")).shape == subject.expected.shape


@pytest.mark.parametrize("way", ["pickle", "torch.save"])
def test_the_state_travels_to_the_bit(subject: Subject, way: str) -> None:
    state = subject.model.state_dict()
    if way == "pickle":
        state = pickle.loads(pickle.dumps(state))
    else:
        file = io.BytesIO()
        torch.save(state, file)
        file.seek(0)
        state = torch.load(file, weights_only=True)
    with torch.device("meta"):
        twin = convarium.create_model(subject.name).eval()
    assert twin.load_state_dict(state, strict=True, assign=True) == ([], [])
    with torch.no_grad():
        assert torch.equal(twin(subject.pictures), subject.expected)


def test_export_in_eval_gives_the_same_numbers_at_any_batch(
    subject: Subject, program: torch.export.ExportedProgram
) -> None:
    exported = program.module()
    for count in BATCHES:
        with torch.no_grad():
            subject.assert_near(exported(subject.pictures[:count]), 1e-5, count)


def test_export_in_training_with_rates_at_zero(subject: Subject) -> None:
    """The exported program trains as the module does: the same logits from the same statistics."""
    model: nn.Module = pickle.loads(pickle.dumps(subject.model)).train()
    rates_at_zero(model)
    pictures = subject.pictures[:3]
    if catalog.find(subject.name).family in REFUSE_IN_TRAINING:
        with pytest.raises(ConvariumError, match="draws its paths anew"):
            torch.export.export(model, (pictures,))
        return
    exported = torch.export.export(model, (pictures,)).module()
    found, expected = exported(pictures), model(pictures)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["stochastic_depth_110", "fractalnet20_c3_cifar"])
def test_a_network_that_draws_its_paths_is_not_exported_in_training(name: str) -> None:
    model = convarium.create_model(name).train()
    with pytest.raises(ConvariumError, match=r"call eval\(\) before the export"):
        torch.export.export(model, (torch.randn(2, 3, 32, 32),))
