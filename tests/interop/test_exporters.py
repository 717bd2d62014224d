"""Arrays of Keras as other exporters name, nest and number them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import convarium
from convarium.errors import InputError
from interop.peers import randomise, same_state
from long_networks import marked

Arrays = dict[str, dict[str, np.ndarray]]
COUNTS = {"conv1": "conv2d", "conv2": "conv2d_1", "ip1": "dense", "ip2": "dense_1"}
SLIM = {"kernel": "weights", "bias": "biases"}
KERAS_1 = {"kernel": "W", "bias": "b"}
# What exporters write for a layer and the role of one of its arrays.
STYLES = {
    "Keras 3's path": lambda layer, role: f"{layer}/{role}",
    "inside a model": lambda layer, role: f"lenet/{layer}/{role}",
    ".h5 of Keras 2": lambda layer, role: f"{layer}/{layer}/{role}:0",
    "a whole model's .h5": lambda layer, role: f"model_weights/{layer}/{layer}/{role}:0",
    "inside a model's .h5": lambda layer, role: f"lenet/{layer}/{layer}/{role}:0",
    "built a second time": lambda layer, role: f"{layer}/{layer}_1/{role}:0",
    ".h5 of Keras 1": lambda layer, role: f"{layer}/{layer}_{KERAS_1[role]}",
    "made unique": lambda layer, role: f"{layer}_{KERAS_1[role]}_1:0",
    "Caffe's, ported": lambda layer, role: f"{layer}_{KERAS_1[role]}",
    "slim": lambda layer, role: f"LeNet/{layer}/{SLIM[role]}",
    "dots": lambda layer, role: f"{layer}.{role}",
    "bars": lambda layer, role: f"{layer}|{role}:0",
    "underscores": lambda layer, role: f"{layer}_{role}:0",
    "no name of ours": lambda layer, role: f"net/part_{layer}/{role}",
    "Keras 3's counts": lambda layer, role: f"layers/{COUNTS[layer]}/vars/{int(role == 'bias')}",
}


def _lenet(model: nn.Module) -> Arrays:
    """A LeNet of ours as Keras would hold it; ip1 sees 4x4 maps, channels last."""
    arrays: Arrays = {}
    for name, part in {**model.features._modules, **model.classifier._modules}.items():
        if not hasattr(part, "weight"):
            continue
        weight = part.weight.detach().numpy()
        if weight.ndim == 4:
            weight = weight.transpose(2, 3, 1, 0)
        elif name == "ip1":
            weight = weight.reshape(500, 50, 4, 4).transpose(2, 3, 1, 0).reshape(800, 500)
        else:
            weight = weight.T
        arrays[name] = {"kernel": weight, "bias": part.bias.detach().numpy()}
    return arrays


def _pair() -> tuple[nn.Module, nn.Module]:
    theirs, ours = (convarium.create_model("lenet_caffe") for _ in range(2))
    randomise(theirs)
    return theirs, ours


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("order", [list, sorted], ids=["of the layers", "of the alphabet"])
def test_a_style_of_names(tmp_path, style: str, order) -> None:
    theirs, ours = _pair()
    arrays = {
        STYLES[style](layer, role): array
        for layer, roles in _lenet(theirs).items()
        for role, array in roles.items()
    }
    np.savez(tmp_path / "w.npz", **{name: arrays[name] for name in order(arrays)})
    assert convarium.load_weights(ours, tmp_path / "w.npz").source in ("keras", "order")
    assert same_state(ours, theirs)


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("word", ["arr_", "", "param_"])
def test_numbers_for_names(tmp_path, word: str, start: int) -> None:
    theirs, ours = _pair()
    flat = [array for roles in _lenet(theirs).values() for array in roles.values()]
    named = {f"{word}{number}": array for number, array in enumerate(flat, start)}
    np.savez(tmp_path / "w.npz", **dict(sorted(named.items())))
    convarium.load_weights(ours, tmp_path / "w.npz")
    assert same_state(ours, theirs)


@pytest.mark.parametrize("kind", ["f2", "f8", ">f4"])
def test_other_floats(tmp_path, kind: str) -> None:
    theirs, ours = _pair()
    for parameter in theirs.parameters():
        parameter.data = parameter.data.half().float()  # what f2 holds without loss
    arrays = {
        f"{layer}/{role}": array.astype(kind)
        for layer, roles in _lenet(theirs).items()
        for role, array in roles.items()
    }
    np.savez(tmp_path / "w.npz", **arrays)
    convarium.load_weights(ours, tmp_path / "w.npz")
    assert same_state(ours, theirs)


def test_what_only_trains_is_passed_over(tmp_path) -> None:
    theirs, ours = _pair()
    arrays = {
        f"{layer}/{role}": a for layer, rs in _lenet(theirs).items() for role, a in rs.items()
    }
    more = {
        "optimizer_weights/Adam/conv1/kernel/m:0": arrays["conv1/kernel"],
        "optimizer/vars/0": np.array(1200, dtype="i8"),
        "dropout/seed_generator/seed_generator_state": np.zeros(2, dtype="u4"),
        "conv1/kernel/Momentum": arrays["conv1/kernel"],
        "global_step": np.array(1200, dtype="i8"),
    }
    np.savez(tmp_path / "w.npz", **more, **arrays)
    convarium.load_weights(ours, tmp_path / "w.npz")
    assert same_state(ours, theirs)


def _counted(model: nn.Module) -> dict[str, np.ndarray]:
    """A network without branches as .weights.h5 of Keras 3 lists it: by class, with counts."""
    arrays: dict[str, np.ndarray] = {}
    seen: dict[str, int] = {}
    for module in model.modules():
        kind = {nn.Conv2d: "conv2d", nn.BatchNorm2d: "batch_normalization", nn.Linear: "dense"}
        if type(module) not in kind:
            continue
        name = kind[type(module)]
        count = seen[name] = seen.get(name, -1) + 1
        name += f"_{count}" if count else ""
        four = [module.weight, module.bias]
        if isinstance(module, nn.BatchNorm2d):
            four += [module.running_mean, module.running_var]
        for place, tensor in enumerate(t for t in four if t is not None):
            array = tensor.detach().numpy()
            turned = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}[array.ndim]
            arrays[f"layers/{name}/vars/{place}"] = array.transpose(turned)
    return dict(sorted(arrays.items()))


def test_ten_counted_layers_and_their_norms(tmp_path) -> None:
    """In the alphabet conv2d_10 stands before conv2d_2."""
    theirs, ours = (convarium.create_model("plain20_cifar") for _ in range(2))
    randomise(theirs)
    arrays = _counted(theirs)
    names = list(arrays)
    assert names.index("layers/conv2d_10/vars/0") < names.index("layers/conv2d_2/vars/0")
    np.savez(tmp_path / "w.npz", **arrays)
    convarium.load_weights(ours, tmp_path / "w.npz", source="keras_padded")
    state = theirs.state_dict()
    state = {k: torch.zeros_like(t) if k.endswith("tracked") else t for k, t in state.items()}
    assert all(torch.equal(tensor, state[key]) for key, tensor in ours.state_dict().items())


@pytest.mark.parametrize("name", marked(["resnet50", "squeezenet1_1"], {"resnet50"}))
def test_branches_are_not_matched_by_counting(tmp_path, name: str) -> None:
    """In ResNet-50, conv2_1's third convolution and its shortcut have one shape."""
    theirs, ours = (convarium.create_model(name) for _ in range(2))
    before = {key: tensor.clone() for key, tensor in ours.state_dict().items()}
    np.savez(tmp_path / "w.npz", **_counted(theirs))
    with pytest.raises(InputError, match=r"tells the order of its layers alone|at stride 2"):
        convarium.load_weights(ours, tmp_path / "w.npz")
    assert all(torch.equal(before[key], tensor) for key, tensor in ours.state_dict().items())


def test_mobilenet_of_keras_3(tmp_path) -> None:
    """Its depthwise kernels are called kernel: what they are stands in the layer's name."""
    theirs, ours = (convarium.create_model("mobilenet_v1_025_128") for _ in range(2))
    randomise(theirs)
    parts = dict(theirs.features.named_modules())
    arrays = {}
    rows = [("conv1", "conv1", "conv1_bn")]
    rows += [
        (f"conv{n + 1}_{kind}", f"conv_{kind}_{n}", f"conv_{kind}_{n}_bn")
        for n in range(1, 14)
        for kind in ("dw", "pw")
    ]
    for part, conv, norm in rows:
        weight = parts[f"{part}.conv"].weight.detach().numpy()
        # A depthwise kernel is (height, width, channels, 1).
        arrays[f"{conv}/kernel"] = weight.transpose((2, 3, 0, 1) if "dw" in conv else (2, 3, 1, 0))
        module = parts[f"{part}.norm"]
        for role, ours_role in (
            ("gamma", "weight"),
            ("beta", "bias"),
            ("moving_mean", "running_mean"),
            ("moving_variance", "running_var"),
        ):
            arrays[f"{norm}/{role}"] = getattr(module, ours_role).detach().numpy()
    arrays["conv_preds/kernel"] = theirs.fc.weight.detach().numpy().T[None, None]
    arrays["conv_preds/bias"] = theirs.fc.bias.detach().numpy()
    np.savez(tmp_path / "w.npz", **arrays)
    report = convarium.load_weights(ours, tmp_path / "w.npz", source="keras_padded")
    assert report.source == "keras"
    weights = [k for k, _ in theirs.named_parameters()]
    assert all(torch.equal(ours.state_dict()[k], theirs.state_dict()[k]) for k in weights)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("conv1/kernel", "conv1/offset"), "conv1/offset is no array of a Keras layer"),
        (("kernel", "bias"), "kernel is no array of a Keras layer"),
        (("layers/conv2d/vars/0", "layers/conv2d/vars/2"), r"conv2d are not counted 0, 1, 2"),
        (("conv1/kernel", "conv1/kernel:0"), r"has conv1\.weight twice"),
        (("arr_0", "arr_2"), "lacks number 1 of its arrays"),
    ],
)
def test_names_that_say_too_little(tmp_path, names: tuple[str, ...], message: str) -> None:
    np.savez(tmp_path / "w.npz", **{name: np.zeros((5, 5, 1, 20), "f4") for name in names})
    with pytest.raises(InputError, match=message):
        convarium.load_weights(convarium.create_model("lenet_caffe"), tmp_path / "w.npz")


def test_an_h5_file_says_how_to_convert_it(tmp_path) -> None:
    (tmp_path / "w.weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500))
    with pytest.raises(InputError, match=r"numpy\.savez\('weights\.npz'.*w\.path"):
        convarium.load_weights(convarium.create_model("lenet_caffe"), tmp_path / "w.weights.h5")
