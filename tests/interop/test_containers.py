"""Torch's checkpoints as trainers leave them: containers, prefixes, precisions, what stands by."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

import convarium
from convarium.errors import InputError
from convarium.interop.jail import RefusedError
from convarium.interop.readers.torch_state import state_dict_in
from interop.peers import peer, pictures, randomise, relative

State = dict[str, Tensor]


class _Block(nn.Module):
    """A basic block with option A as the CIFAR networks of akamaster's repository have it."""

    def __init__(self, seen: int, maps: int) -> None:
        super().__init__()
        self.step = maps // seen
        self.conv1 = nn.Conv2d(seen, maps, 3, self.step, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(maps)
        self.conv2 = nn.Conv2d(maps, maps, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(maps)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.step == 2:
            quarter = x.shape[1] // 2
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
        return F.relu(x + y)


class _Cifar(nn.Module):
    """Depth 6n + 2: three stages of n blocks, 16, 32 and 64 maps."""

    def __init__(self, depth: int, head: str) -> None:
        super().__init__()
        n = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for stage, maps in enumerate((16, 32, 64), start=1):
            first = _Block(max(maps // 2, 16), maps)
            blocks = [first, *(_Block(maps, maps) for _ in range(n - 1))]
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        setattr(self, head, nn.Linear(64, 10))
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return getattr(self, self.head)(x.mean((2, 3)))


def _prefixed(state: State, *words: str) -> State:
    return {"".join(f"{word}." for word in words) + key: tensor for key, tensor in state.items()}


# How a state dict of theirs is wrapped before it is written.
AROUND: dict[str, Callable[[State], object]] = {
    "bare": lambda state: state,
    "ordered": OrderedDict,
    "DataParallel": lambda state: {"state_dict": _prefixed(state, "module"), "best_prec1": 92.6},
    "best as a tensor": lambda state: {"state_dict": state, "best_prec1": torch.tensor(92.6)},
    "epoch and optimiser": lambda state: {
        "epoch": 3,
        "arch": "net",
        "optimizer": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{}]},
        "model": state,
    },
    "compiled": lambda state: {"model_state_dict": _prefixed(state, "_orig_mod")},
    "compiled, in parallel": lambda state: {"net": _prefixed(state, "_orig_mod", "module")},
    "in parallel, compiled": lambda state: {"net": _prefixed(state, "module", "_orig_mod")},
    "Lightning": lambda state: {"state_dict": _prefixed(state, "model"), "global_step": 9},
    "a trainer's word": lambda state: {"state_dict": _prefixed(state, "classifier_net")},
    "an average": lambda state: {
        "model_ema": {"n_averaged": torch.tensor(7), **_prefixed(state, "module")}
    },
    "an average alone": lambda state: {"state_dict_ema": state, "epoch": 3},
    "profiled": lambda state: {
        **state,
        "total_ops": torch.zeros(1, dtype=torch.float64),
        "conv1.total_params": torch.zeros(1, dtype=torch.float64),
    },
    "no counters": lambda state: {
        key: tensor for key, tensor in state.items() if "num_batches" not in key
    },
}


# A file is read by a process of its own, which takes seconds; the others are slow tests.
QUICK = (("DataParallel", True),)


def _cifar(depth: int, head: str = "linear") -> nn.Module:
    theirs = _Cifar(depth, head)
    randomise(theirs)
    return theirs.eval()


@pytest.mark.parametrize("around", AROUND)
def test_the_state_dict_is_found_in(around: str) -> None:
    """What the reading process finds in a checkpoint, and what the network makes of its names."""
    theirs, ours = _cifar(20), convarium.create_model("resnet20_cifar").eval()
    found = state_dict_in(AROUND[around](theirs.state_dict()))
    assert convarium.load_weights(ours, found).source == "akamaster"
    x = pictures(32)
    with torch.no_grad():
        assert relative(ours.double()(x), theirs.double()(x)) < 1e-10


FILES = [
    pytest.param(around, zipped, marks=() if (around, zipped) in QUICK else pytest.mark.slow)
    for around in AROUND
    for zipped in (True, False)
]


@pytest.mark.parametrize(("around", "zipped"), FILES)
def test_a_file_of_a_cifar_resnet(tmp_path, around: str, zipped: bool) -> None:
    theirs, ours = _cifar(20), convarium.create_model("resnet20_cifar").eval()
    held = AROUND[around](theirs.state_dict())
    torch.save(held, tmp_path / "w.th", _use_new_zipfile_serialization=zipped)
    assert convarium.load_weights(ours, tmp_path / "w.th").source == "akamaster"
    x = pictures(32).float()
    with torch.no_grad():
        assert relative(ours(x), theirs(x)) < 1e-5


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110])
@pytest.mark.parametrize("head", ["linear", "fc"])
def test_every_depth(depth: int, head: str) -> None:
    theirs, ours = _cifar(depth, head), convarium.create_model(f"resnet{depth}_cifar").eval()
    convarium.load_weights(ours, _prefixed(theirs.state_dict(), "module"))
    x = pictures(32)
    with torch.no_grad():
        assert relative(ours.float()(x.float()), theirs(x.float())) < 1e-5
        assert relative(ours.double()(x), theirs.double()(x)) < 1e-10


@pytest.mark.parametrize("depth", [20, 44])
def test_another_depth_is_refused(depth: int) -> None:
    with pytest.raises(InputError, match="layer1"):
        convarium.load_weights(convarium.create_model("resnet32_cifar"), _cifar(depth).state_dict())


def test_of_two_state_dicts_the_trained_one_is_taken() -> None:
    theirs, average = {"a.weight": torch.ones(2)}, {"a.weight": torch.zeros(2)}
    found = state_dict_in({"state_dict_ema": average, "state_dict": theirs})
    assert found["a.weight"].tolist() == [1, 1]


@pytest.mark.parametrize("name", ["squeezenet1_0", "squeezenet1_1"])
@pytest.mark.parametrize("words", [(), ("module",), ("_orig_mod",), ("model",), ("a", "b")])
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_squeezenet_of_torchvision_in_safetensors(tmp_path, name: str, words, kind) -> None:
    theirs, ours = peer("torchvision", name), convarium.create_model(name).eval()
    theirs.to(kind).float()  # the numbers that the file can hold
    state = {key: tensor.to(kind) for key, tensor in theirs.state_dict().items()}
    save_file(_prefixed(state, *words), tmp_path / "w.safetensors")
    assert convarium.load_weights(ours, tmp_path / "w.safetensors").source == "torchvision"
    assert torch.equal(ours.features.conv1.weight, theirs.features[0].weight)
    assert torch.equal(ours.conv10.bias, theirs.classifier[1].bias)


@pytest.mark.slow
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("around", ["bare", "compiled", "an average", "Lightning"])
def test_a_file_of_torchvisions_squeezenet(tmp_path, around: str, zipped: bool) -> None:
    theirs, ours = peer("torchvision", "squeezenet1_1"), convarium.create_model("squeezenet1_1")
    held = AROUND[around](theirs.half().state_dict())
    torch.save(held, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    convarium.load_weights(ours.eval(), tmp_path / "w.pth")
    x = pictures(64).float()
    with torch.no_grad():
        assert relative(ours(x), theirs.float()(x)) < 1e-5


def _tar(path: Path) -> None:
    import tarfile

    member = path.with_name("pickle")
    member.write_bytes(b"\x80\x02}.")
    with tarfile.open(path, "w") as archive:
        archive.add(member, "pickle")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_tar, "is a tar archive; unpack it, or save it with a torch since"),
        (lambda path: torch.save(_Block(16, 16), path), r"save its state dict alone: torch\.save"),
    ],
    ids=["tar", "a whole module"],
)
def test_a_file_that_holds_something_else_says_so(tmp_path, write, message: str) -> None:
    write(tmp_path / "w.pth")
    with pytest.raises(InputError, match=message):
        convarium.load_weights(convarium.create_model("resnet20_cifar"), tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({"epoch": 3, "args": {"lr": 0.1}}, "holds no state dict"),
        ([torch.ones(3)], "holds a list, not a state dict"),
        ({"conv1.weight": torch.ones(3), "epoch": 3}, "has epoch, a int between the tensors"),
    ],
)
def test_no_state_dict_is_found(held: object, message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        state_dict_in(held)
