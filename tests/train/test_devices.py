"""Two devices of one process: AlexNet's towers, spread and put back; names that cannot be."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from convarium.errors import UsageError
from convarium.nets import alexnet
from convarium.train import World
from convarium.train.launch import two_devices
from convarium.train.towers import Spread
from train.conftest import Trial


@pytest.fixture
def small(monkeypatch) -> alexnet.AlexNet2GPU:
    monkeypatch.setattr(alexnet, "HIDDEN", 64)
    return alexnet.AlexNet2GPU(num_classes=3)


def test_towers_lie_on_their_devices_and_come_back_to_them(small) -> None:
    """ "meta" stands for a second device: shapes cross, numbers do not."""
    spread = Spread(small, World(mode="devices", devices=("cpu", "meta")))
    kinds = {name: p.device.type for name, p in small.named_parameters()}
    assert {kinds[name] for name in kinds if name.startswith(("tower1.", "fc8."))} == {"cpu"}
    assert {kinds[name] for name in kinds if name.startswith("tower2.")} == {"meta"}
    logits = spread.called(torch.rand(2, 3, 227, 227))
    assert (logits.device.type, logits.shape) == ("cpu", (2, 3))
    with spread.answering():
        small.to_empty(device="cpu")  # as one who evaluates it places it
    assert small.tower1.device().type == "cpu"
    assert small.tower2.device().type == "meta"


def test_every_parameter_of_both_devices_gets_its_gradient(small) -> None:
    """The same network, spread over two names of one device, against itself in one piece."""
    images, labels = torch.rand(1, 3, 227, 227), torch.tensor([2])
    small.eval()
    found = []
    for net in (small, Spread(small, World(mode="devices", devices=("cpu", "cpu:0"))).called):
        small.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()
        found.append([p.grad.clone() for p in small.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert len(found[0]) == 2 * (2 * 7) + 2  # weight and bias of seven layers a tower, and fc8


@pytest.mark.gpu
def test_one_tower_on_a_gpu_trains_as_both_on_the_processor(trial: Trial, tmp_path) -> None:
    words = "alexnet_2gpu --set batch=2 --set iterations=2 --set init=paper --checkpoint-steps 1"
    for out, more in (("one", " --device cpu"), ("two", " --devices cuda:0,cpu")):
        (end,) = trial(words + more, 1, out=out, hidden=64, limit=150)
        assert end["code"] == 0, end
    one, two = (load_file(tmp_path / out / "last.safetensors") for out in ("one", "two"))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_the_command_trains_to_the_weights_of_one_device(trial: Trial, tmp_path) -> None:
    words = "alexnet_2gpu --set batch=2 --set iterations=2 --checkpoint-steps 1"
    for out, more in (("one", ""), ("two", " --devices cpu,cpu")):
        (end,) = trial(words + more, 1, out=out, hidden=64, limit=150)
        assert end["code"] == 0, end
    one, two = ((tmp_path / out / "last.safetensors").read_bytes() for out in ("one", "two"))
    assert one == two


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("alexnet_2gpu --devices cpu", "takes two names"),
        ("alexnet_2gpu --devices cpu,tpu", "torch has no 'tpu' here, only cpu"),
        ("alexnet_2gpu --devices cpu,cuda:99", "torch has no 'cuda:99' here"),
        ("alexnet_2gpu --devices cpu,cpu --model-parallel", "give one of --shard"),
        ("alexnet_2gpu --devices cpu,cpu --device cuda", "--device or --devices, not both"),
        ("lenet_caffe --device cuda:99", "torch has no 'cuda:99' here"),
        ("lenet_caffe --epochs 1 --devices cpu,cpu", "--devices is for alexnet_2gpu"),
    ],
)
def test_what_cannot_be_is_refused(trial: Trial, words, message) -> None:
    (end,) = trial(words, 1)
    assert (end["code"], message in end["err"]) == (2, True), end


def test_several_processes_have_their_own_option(trial: Trial) -> None:
    ends = trial("alexnet_2gpu --epochs 1 --devices cpu,cpu")
    assert [end["code"] for end in ends] == [2, 2]
    assert "--model-parallel takes two" in ends[0]["err"]


def test_names_of_devices() -> None:
    assert two_devices(("cpu", "cpu:0")) == ("cpu", "cpu")
    with pytest.raises(UsageError, match="'cpu:1'"):
        two_devices(("cpu", "cpu:1"))
