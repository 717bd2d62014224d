"""What every network goes through: layouts, precisions, meta, state, torch.export and ONNX."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import convarium
from battery.conftest import BATCHES, NAMES, OFF_CATALOG, ONE_EACH, Subject, rates_at_zero
from convarium import catalog
from convarium.errors import ConvariumError

# Their train mode draws paths that no rate turns off: a sentence says so.
REFUSE_IN_TRAINING = {"fractalnet"}


def test_the_default_run_has_one_network_of_each_family() -> None:
    listed = [OFF_CATALOG[name][1] if name in OFF_CATALOG else name for name in ONE_EACH]
    families = [catalog.find(name).family for name in listed]
    assert sorted(families) == sorted({row.family for row in catalog.CATALOG.values()})
    assert len(NAMES) == len(catalog.CATALOG) + len(OFF_CATALOG)


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
        twin = subject.make().eval()
    shapes = {key: (v.shape, v.dtype) for key, v in subject.model.state_dict().items()}
    assert {key: (v.shape, v.dtype) for key, v in twin.state_dict().items()} == shapes
    assert all(value.is_meta for value in twin.state_dict().values())
    assert twin(subject.pictures.to("meta")).shape == subject.expected.shape


@pytest.mark.parametrize("way", [pytest.param("pickle", marks=pytest.mark.slow), "torch.save"])
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
        twin = subject.make().eval()
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


def one_thread(onnxruntime: Any, path: Path) -> Any:
    """A session of one thread that does not spin: tests share the machine."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@pytest.mark.usefixtures("quick_exporter")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_onnx_gives_the_same_numbers_at_any_batch(
    subject: Subject, program: torch.export.ExportedProgram, tmp_path: Path
) -> None:
    """Another runtime sums in another order: 1e-4 of the largest logit."""
    pytest.importorskip("onnxscript", reason="the exporter needs the extra `export`")
    onnxruntime = pytest.importorskip("onnxruntime", reason="the check needs the extra `export`")
    path = tmp_path / "network.onnx"
    written = torch.onnx.export(program, dynamo=True, external_data=False, verbose=False)
    assert written is not None
    written.save(path)
    runtime = one_thread(onnxruntime, path)
    (given,) = runtime.get_inputs()
    for count in BATCHES:
        (found,) = runtime.run(None, {given.name: subject.pictures[:count].numpy()})
        subject.assert_near(torch.from_numpy(found), 1e-4, count)
    path.unlink()


def test_export_in_training_with_rates_at_zero(subject: Subject) -> None:
    """The exported program trains as the module does: the same logits from the same statistics."""
    model: nn.Module = pickle.loads(pickle.dumps(subject.model)).train()
    rates_at_zero(model)
    pictures = subject.pictures[:3]
    if subject.family in REFUSE_IN_TRAINING:
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
