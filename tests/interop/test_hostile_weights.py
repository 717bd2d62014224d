"""Files of strangers: each is refused with one sentence, runs nothing, and changes nothing."""

from __future__ import annotations

import pytest
import torch

import convarium
from convarium.errors import InputError
from interop import hostile_arrays
from interop.hostile_files import HOSTILE, canary

pytestmark = pytest.mark.usefixtures("own_process")
# The process that reads these has to load torch: one by default.
JAILED = {
    "pickle_nested_deep",
    "torch_without_tensors",
    "torch_list",
    "torch_with_a_word_between",
    "pickle_that_hides_in_torch",
    "torch_tensor_of_lying_shape",
}
NAMES = [pytest.param(n, marks=pytest.mark.slow if n in JAILED else ()) for n in HOSTILE]


def test_there_are_at_least_forty() -> None:
    assert len(HOSTILE) >= 40
    assert set(HOSTILE) >= JAILED
    assert hostile_arrays.__name__ in {writer.__module__ for writer, _ in HOSTILE.values()}


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_file_is_refused_with_a_sentence(tmp_path, name: str) -> None:
    write, words = HOSTILE[name]
    model = convarium.create_model("lenet_caffe")
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    path = write(tmp_path)
    with pytest.raises(InputError) as refusal:
        convarium.load_weights(model, path)
    sentence = str(refusal.value)
    assert words in sentence
    assert str(path) in sentence
    assert "\n" not in sentence
    assert len(sentence) < 500 + len(str(path))
    assert not canary(tmp_path).exists()
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())


def test_a_file_larger_than_the_network_is_refused_unread(tmp_path) -> None:
    with (tmp_path / "w.pth").open("wb") as file:
        file.write(b"\x80\x02")
        file.truncate(2 << 30)  # a hole: it takes no room on the disk
    with pytest.raises(InputError, match="far more than this network"):
        convarium.load_weights(convarium.create_model("lenet_caffe"), tmp_path / "w.pth")


def test_the_jail_has_a_limit_on_memory() -> None:
    import subprocess
    import sys

    code = (
        "from convarium.interop.limits import limit_memory as limit; limit(1 << 26); bytes(1 << 28)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "MemoryError" in done.stderr
