"""ONNX in eval mode: the exporter's file, run by another runtime, at other batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from battery.conftest import BATCHES, Subject

pytest.importorskip("onnxscript", reason="the exporter needs the extra `export`")
onnxruntime = pytest.importorskip("onnxruntime", reason="the check needs the extra `export`")


def session(path: Path) -> Any:
    """One thread that does not spin: tests share the machine."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_onnx_gives_the_same_numbers_at_any_batch(
    subject: Subject, program: torch.export.ExportedProgram, tmp_path: Path
) -> None:
    """Two runtimes sum in different orders: 1e-4 of the largest logit."""
    path = tmp_path / "network.onnx"
    written = torch.onnx.export(program, dynamo=True, external_data=False, verbose=False)
    assert written is not None
    written.save(path)
    runtime = session(path)
    (given,) = runtime.get_inputs()
    for count in BATCHES:
        (found,) = runtime.run(None, {given.name: subject.pictures[:count].numpy()})
        subject.assert_near(torch.from_numpy(found), 1e-4, count)
    path.unlink()
