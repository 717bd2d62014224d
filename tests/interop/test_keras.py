"""Keras's arrays: layouts, the order of flattening, names of keras.applications, SAME padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import convarium
from convarium.errors import InputError
from interop.peers import pictures, randomise, relative, same_state


def _hwio(conv: nn.Conv2d) -> np.ndarray:
    return conv.weight.detach().numpy().transpose(2, 3, 1, 0)


def _vector(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy()


def _correlate_nhwc(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A valid convolution of Keras: maps last, kernel (height, width, in, out)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))
    return np.einsum("nyxchw,hwco->nyxo", windows, kernel) + bias


def _pooled(x: np.ndarray) -> np.ndarray:
    n, height, width, maps = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, maps).max((2, 4))


@pytest.mark.parametrize("numbered", [False, True])
def test_lenet_computed_with_maps_last(tmp_path, numbered: bool) -> None:
    rng = np.random.default_rng(4)
    shapes = ((5, 5, 1, 20), (20,), (5, 5, 20, 50), (50,), (800, 500), (500,), (500, 10), (10,))
    arrays = [rng.normal(0, 0.1, shape).astype("f4") for shape in shapes]
    names = [
        f"{layer}/{layer}/{r}:0"
        for layer in "conv1 conv2 ip1 ip2".split()
        for r in ("kernel", "bias")
    ]
    if numbered:
        np.savez(tmp_path / "w.npz", *arrays)
    else:
        np.savez_compressed(tmp_path / "w.npz", **dict(zip(names, arrays, strict=True)))
    x = rng.normal(size=(2, 28, 28, 1)).astype("f4")
    y = _pooled(_correlate_nhwc(x, *arrays[:2]))
    y = _pooled(_correlate_nhwc(y, *arrays[2:4]))
    y = np.maximum(y.reshape(2, -1) @ arrays[4] + arrays[5], 0) @ arrays[6] + arrays[7]
    model = convarium.create_model("lenet_caffe").eval()
    convarium.load_weights(model, tmp_path / "w.npz")
    with torch.no_grad():
        ours = model(torch.from_numpy(x.transpose(0, 3, 1, 2)))
    assert relative(ours, torch.from_numpy(y)) < 1e-5


def _norm(name: str, norm: nn.BatchNorm2d) -> dict[str, np.ndarray]:
    return {
        f"{name}/gamma:0": _vector(norm.weight),
        f"{name}/beta:0": _vector(norm.bias),
        f"{name}/moving_mean:0": _vector(norm.running_mean),
        f"{name}/moving_variance:0": _vector(norm.running_var),
    }


def _resnet50(model: nn.Module) -> dict[str, np.ndarray]:
    """keras.applications.ResNet50: every convolution has a bias before its norm."""
    parts = dict(model.named_modules())
    arrays: dict[str, np.ndarray] = {}

    def conv_and_norm(name: str, conv: str, norm: str) -> None:
        shift = np.linspace(-0.3, 0.3, parts[conv].out_channels, dtype="f4")
        arrays[f"{name}_conv/kernel:0"] = _hwio(parts[conv])
        arrays[f"{name}_conv/bias:0"] = shift
        arrays.update(_norm(f"{name}_bn", parts[norm]))
        arrays[f"{name}_bn/moving_mean:0"] = arrays[f"{name}_bn/moving_mean:0"] + shift

    conv_and_norm("conv1", "conv1", "bn1")
    for stage, count in ((2, 3), (3, 4), (4, 6), (5, 3)):
        for number in range(1, count + 1):
            ours, theirs = f"conv{stage}_x.conv{stage}_{number}", f"conv{stage}_block{number}"
            for place in (1, 2, 3):
                conv_and_norm(f"{theirs}_{place}", f"{ours}.conv{place}", f"{ours}.bn{place}")
            if number == 1:
                conv_and_norm(f"{theirs}_0", f"{ours}.shortcut.0", f"{ours}.shortcut.1")
    arrays["predictions/kernel:0"] = _vector(parts["fc"].weight).T
    arrays["predictions/bias:0"] = _vector(parts["fc"].bias)
    return arrays


def test_resnet50_of_keras_applications(tmp_path) -> None:
    theirs, ours = (convarium.create_model("resnet50").eval() for _ in range(2))
    randomise(theirs)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1.001e-5  # what Keras's ResNets are built with
    np.savez(tmp_path / "w.npz", **_resnet50(theirs))
    report = convarium.load_weights(ours, tmp_path / "w.npz")
    assert any("1.001e-05" in note for note in report.notes)
    x = pictures(64).float()
    with torch.no_grad():
        assert relative(ours(x), theirs(x)) < 1e-5
    with pytest.raises(InputError, match="stride stands in the first 1x1"):
        convarium.load_weights(convarium.create_model("resnet50_v1_5"), tmp_path / "w.npz")


def test_mobilenet_of_keras_pads_otherwise(tmp_path) -> None:
    theirs = convarium.create_model("mobilenet_v1_025_128")
    parts = dict(theirs.features.named_modules())
    arrays = {
        "conv1/kernel:0": _hwio(parts["conv1.conv"]),
        **_norm("conv1_bn", parts["conv1.norm"]),
    }
    for number in range(1, 14):
        for kind, role in (("dw", "depthwise_kernel"), ("pw", "kernel")):
            part = f"conv{number + 1}_{kind}"
            weight = parts[f"{part}.conv"].weight.detach().numpy()
            turned = weight.transpose(2, 3, 0, 1) if kind == "dw" else weight.transpose(2, 3, 1, 0)
            arrays[f"conv_{kind}_{number}/{role}:0"] = turned
            arrays.update(_norm(f"conv_{kind}_{number}_bn", parts[f"{part}.norm"]))
    arrays["conv_preds/kernel:0"] = _vector(theirs.fc.weight).T[None, None]
    arrays["conv_preds/bias:0"] = _vector(theirs.fc.bias)
    np.savez(tmp_path / "w.npz", **arrays)
    ours = convarium.create_model("mobilenet_v1_025_128")
    with pytest.raises(InputError, match="TensorFlow's SAME pads the right and the bottom more"):
        convarium.load_weights(ours, tmp_path / "w.npz")
    convarium.load_weights(ours, tmp_path / "w.npz", source="keras_padded")
    assert same_state(ours, theirs)


def _densenet121(model: nn.Module, slash: str, head: str) -> dict[str, np.ndarray]:
    """keras.applications.DenseNet121; before Keras 3 the stem is conv1/conv and conv1/bn."""
    parts = dict(model.named_modules())
    rows = {f"conv1{slash}conv": "features.convolution", f"conv1{slash}bn": "features.norm"}
    for block, layers in enumerate((6, 12, 24, 16), start=1):
        for layer in range(1, layers + 1):
            ours, theirs = f"features.dense_block{block}.layer{layer}", f"conv{block + 1}_block"
            for place, step in enumerate(("first", "second")):
                rows[f"{theirs}{layer}_{place}_bn"] = f"{ours}.{step}.norm"
                rows[f"{theirs}{layer}_{place + 1}_conv"] = f"{ours}.{step}.conv"
        if block < 4:
            rows[f"pool{block + 1}_bn"] = f"features.transition{block}.0.norm"
            rows[f"pool{block + 1}_conv"] = f"features.transition{block}.0.conv"
    rows["bn"] = "features.last_norm"
    arrays: dict[str, np.ndarray] = {}
    for name, path in rows.items():
        if isinstance(parts[path], nn.BatchNorm2d):
            arrays |= _norm(name, parts[path])
        else:
            arrays[f"{name}/kernel:0"] = _hwio(parts[path])
    arrays[f"{head}/kernel:0"] = _vector(model.classifier.weight).T
    arrays[f"{head}/bias:0"] = _vector(model.classifier.bias)
    return arrays


@pytest.mark.slow
@pytest.mark.parametrize(
    ("slash", "head"), [("_", "predictions"), ("/", "fc1000"), ("/", "predictions")]
)
@pytest.mark.parametrize("is_h5", [False, True])
def test_densenet121_of_keras_applications(tmp_path, slash: str, head: str, is_h5: bool) -> None:
    theirs, ours = (convarium.create_model("densenet121").eval() for _ in range(2))
    randomise(theirs)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1.001e-5
    arrays = _densenet121(theirs, slash, head)
    if is_h5:  # a whole model, saved while it trained: each layer is a folder of its name
        arrays = {
            f"model_weights/{key.rpartition('/')[0]}/{key}": array for key, array in arrays.items()
        }
        arrays["optimizer_weights/Adam/bn/gamma/m:0"] = np.ones(1024, "f4")
    np.savez(tmp_path / "w.npz", **arrays)
    convarium.load_weights(ours, tmp_path / "w.npz")
    x = pictures(64).float()
    with torch.no_grad():
        assert relative(ours(x), theirs(x)) < 1e-5


@pytest.mark.slow
def test_vgg16_of_keras_applications(tmp_path) -> None:
    theirs, ours = (convarium.create_model("vgg_d") for _ in range(2))
    arrays = {}
    for name, part in theirs.features.named_children():
        if isinstance(part, nn.Conv2d):
            stage, number = name.removeprefix("conv").split("_")
            arrays[f"block{stage}_conv{number}/kernel:0"] = _hwio(part)
            arrays[f"block{stage}_conv{number}/bias:0"] = _vector(part.bias)
    for keras, part in zip(("fc1", "fc2", "predictions"), "fc6 fc7 fc8".split(), strict=True):
        weight = _vector(getattr(theirs.classifier, part).weight)
        if part == "fc6":  # its 7x7 maps run (height, width, channel)
            weight = weight.reshape(4096, 512, 7, 7).transpose(0, 2, 3, 1).reshape(4096, -1)
        arrays[f"{keras}/kernel:0"] = weight.T
        arrays[f"{keras}/bias:0"] = _vector(getattr(theirs.classifier, part).bias)
    np.savez(tmp_path / "w.npz", **arrays)
    convarium.load_weights(ours, tmp_path / "w.npz")
    assert same_state(ours, theirs)
