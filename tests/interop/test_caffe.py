"""Caffe's files: three generations, towers from groups, BatchNorm and Scale, published names."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import convarium
from convarium.errors import InputError
from interop.caffe_files import block, layer, layer_v0, layer_v1, snapshot
from interop.peers import pictures, randomise, relative, same_state

KINDS = {"conv": ("Convolution", 4, "conv"), "ip": ("InnerProduct", 14, "innerproduct")}


def _arrays(module: nn.Module) -> list[np.ndarray]:
    return [
        tensor.detach().numpy() for tensor in (module.weight, module.bias) if tensor is not None
    ]


def _kind(module: nn.Module, generation: int) -> str | int:
    return KINDS["conv" if isinstance(module, nn.Conv2d) else "ip"][generation]


@pytest.mark.parametrize(("write", "generation"), [(layer, 0), (layer_v1, 1), (layer_v0, 2)])
def test_three_generations_of_the_format(tmp_path, write, generation) -> None:
    theirs, ours = (convarium.create_model("lenet_caffe") for _ in range(2))
    randomise(theirs)
    parts = {**theirs.features._modules, **theirs.classifier._modules}
    data = b"".join(
        write(name, _kind(part, generation), _arrays(part))
        for name, part in parts.items()
        if hasattr(part, "weight")
    )
    (tmp_path / "w.caffemodel").write_bytes(block(1, "LeNet") + data)
    assert convarium.load_weights(ours, tmp_path / "w.caffemodel").source == "caffe"
    assert same_state(ours, theirs)


@pytest.mark.parametrize("old", [True, False], ids=["four sides", "shape"])
def test_a_snapshot_with_every_layer_of_the_net(tmp_path, old: bool) -> None:
    theirs, ours = (convarium.create_model("lenet_caffe") for _ in range(2))
    randomise(theirs)
    parts = {**theirs.features._modules, **theirs.classifier._modules}
    data = block(1, "LeNet") + snapshot("mnist", "Data", [], old=old)
    for name, part in parts.items():
        weights = hasattr(part, "weight")
        data += snapshot(name, str(_kind(part, 0)), _arrays(part) if weights else [], old=old)
    data += snapshot("loss", "SoftmaxWithLoss", [], old=old)
    (tmp_path / "lenet_iter_7.caffemodel").write_bytes(data)
    convarium.load_weights(ours, tmp_path / "lenet_iter_7.caffemodel")
    assert same_state(ours, theirs)


# BVLC's bvlc_alexnet: side, stride, pad, group, maps in and out of each convolution.
BVLC_ALEXNET = (
    ("conv1", 11, 4, 0, 1, 3, 96),
    ("conv2", 5, 1, 2, 2, 96, 256),
    ("conv3", 3, 1, 1, 1, 256, 384),
    ("conv4", 3, 1, 1, 2, 384, 384),
    ("conv5", 3, 1, 1, 2, 384, 256),
)
BVLC_DENSE = (("fc6", 9216, 4096), ("fc7", 4096, 4096), ("fc8", 4096, 1000))


def _bvlc_forward(x: Tensor, w: dict[str, tuple[Tensor, Tensor]]) -> Tensor:
    """The prototxt, with the order of norm and pool as the paper has it, one tower in groups."""
    for name, _, stride, pad, group, _, _ in BVLC_ALEXNET:
        x = F.relu(F.conv2d(x, *w[name], stride=stride, padding=pad, groups=group))
        if name in ("conv1", "conv2"):
            # Each half is normalised by itself, since the paper's towers do not see each other.
            x = torch.cat([_lrn(half) for half in x.chunk(2, 1)], 1)
        if name in ("conv1", "conv2", "conv5"):
            x = F.max_pool2d(x, 3, 2)
    x = x.flatten(1)
    for name, _, _ in BVLC_DENSE:
        x = F.linear(x, *w[name])
        x = x if name == "fc8" else F.relu(x)
    return x


def _lrn(x: Tensor) -> Tensor:
    """Section 3.3: k 2, n 5, alpha 1e-4 on the sum of squares, beta 0.75."""
    return F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "generation"), [(layer, 0), pytest.param(layer_v1, 1, marks=pytest.mark.slow)]
)
def test_two_towers_from_grouped_convolutions(tmp_path, write, generation: int) -> None:
    generator = torch.Generator().manual_seed(3)
    weights: dict[str, tuple[Tensor, Tensor]] = {}
    for name, side, _, _, group, seen, maps in BVLC_ALEXNET:
        shape = (maps, seen // group, side, side)
        fan_in = seen // group * side * side
        weights[name] = (
            torch.randn(shape, generator=generator) * fan_in**-0.5,
            0.1 * torch.randn(maps, generator=generator),
        )
    for name, seen, out in BVLC_DENSE:
        weights[name] = (
            torch.randn(out, seen, generator=generator) * seen**-0.5,
            0.1 * torch.randn(out, generator=generator),
        )
    path = tmp_path / "w.caffemodel"
    with path.open("wb") as file:
        for name, (w, b) in weights.items():
            kind = KINDS["conv" if w.dim() == 4 else "ip"][generation]
            file.write(write(name, kind, [w.numpy(), b.numpy()]))
    model = convarium.create_model("alexnet_2gpu").eval()
    report = convarium.load_weights(model, path)
    assert any("blue, green, red" in note for note in report.notes)
    x = pictures(227, n=1).float()
    with torch.no_grad():
        assert relative(model(x), _bvlc_forward(x, weights)) < 1e-5


def _norm_layers(name: str, scale: str, norm: nn.BatchNorm2d) -> bytes:
    """Caffe keeps sums of moments and the factor that they were summed with."""
    factor = np.array([999.982])
    sums = [norm.running_mean.numpy() * factor, norm.running_var.numpy() * factor, factor]
    affine = [norm.weight.detach().numpy(), norm.bias.detach().numpy()]
    return layer(name, "BatchNorm", sums, eps=1e-5) + layer(scale, "Scale", affine)


# The authors' ResNet-50: our block -> the names of theirs.
RESNET_BLOCKS = [
    (f"conv{stage}_x.conv{stage}_{number}", f"{stage}{'abcdef'[number - 1]}")
    for stage, count in ((2, 3), (3, 4), (4, 6), (5, 3))
    for number in range(1, count + 1)
]


def _resnet50_file(model: nn.Module) -> bytes:
    """As KaimingHe/deep-residual-networks writes it; its conv1 has a bias before the norm."""
    parts = dict(model.named_modules())
    conv1_bias = np.linspace(-0.2, 0.2, 64, dtype="f4")
    conv1 = parts["conv1"].weight.detach().numpy()
    shifted = nn.BatchNorm2d(64)
    shifted.load_state_dict(parts["bn1"].state_dict())
    shifted.running_mean += torch.from_numpy(conv1_bias)
    data = layer("conv1", "Convolution", [conv1, conv1_bias])
    data += _norm_layers("bn_conv1", "scale_conv1", shifted)
    for ours, theirs in RESNET_BLOCKS:
        rows = [("branch2a", "conv1", "bn1"), ("branch2b", "conv2", "bn2")]
        rows += [("branch2c", "conv3", "bn3"), ("branch1", "shortcut.0", "shortcut.1")]
        for branch, conv, norm in rows:
            if f"{ours}.{conv}" in parts:
                data += layer(
                    f"res{theirs}_{branch}", "Convolution", _arrays(parts[f"{ours}.{conv}"])
                )
                names = (f"bn{theirs}_{branch}", f"scale{theirs}_{branch}")
                data += _norm_layers(*names, parts[f"{ours}.{norm}"])
    return data + layer("fc1000", "InnerProduct", _arrays(parts["fc"]))


@pytest.mark.slow
def test_the_authors_resnet50(tmp_path) -> None:
    theirs, ours = (convarium.create_model("resnet50").eval() for _ in range(2))
    randomise(theirs)
    (tmp_path / "w.caffemodel").write_bytes(_resnet50_file(theirs))
    convarium.load_weights(ours, tmp_path / "w.caffemodel")
    x = pictures(64).float()
    with torch.no_grad():
        assert relative(ours(x), theirs(x)) < 1e-5
    with pytest.raises(InputError, match="3x3 expected, file has 1x1"):
        convarium.load_weights(convarium.create_model("resnet34_b"), tmp_path / "w.caffemodel")


# BVLC's bvlc_googlenet: words of an inception, and where ours are.
INCEPTION_WORDS = {
    "1x1": "branch1x1.conv",
    "3x3_reduce": "branch3x3.reduce",
    "3x3": "branch3x3.conv",
    "5x5_reduce": "branch5x5.reduce",
    "5x5": "branch5x5.conv",
    "pool_proj": "branch_pool.proj",
}


def _googlenet_layers(parts: dict[str, nn.Module]) -> dict[str, nn.Module]:
    names = {"conv1/7x7_s2": "stem.conv1", "conv2/3x3_reduce": "stem.conv2_reduce"}
    names["conv2/3x3"] = "stem.conv2"
    for stage in "3a 3b 4a 4b 4c 4d 4e 5a 5b".split():
        for word, ours in INCEPTION_WORDS.items():
            names[f"inception_{stage}/{word}"] = f"inception_{stage}.{ours}"
    for number in "12":
        names[f"loss{number}/conv"] = f"aux{number}.conv"
        names[f"loss{number}/fc"] = f"aux{number}.fc"
        names[f"loss{number}/classifier"] = f"aux{number}.linear"
    names["loss3/classifier"] = "linear"
    return {theirs: parts[ours] for theirs, ours in names.items()}


def test_googlenet_with_and_without_its_auxiliary_classifiers(tmp_path) -> None:
    theirs, ours = (convarium.create_model("googlenet_aux") for _ in range(2))
    randomise(theirs)
    layers = _googlenet_layers(dict(theirs.named_modules()))
    data = [layer_v1(name, _kind(part, 1), _arrays(part)) for name, part in layers.items()]
    (tmp_path / "w.caffemodel").write_bytes(b"".join(data))
    convarium.load_weights(ours, tmp_path / "w.caffemodel")
    assert same_state(ours, theirs)
    plain = convarium.create_model("googlenet")
    report = convarium.load_weights(plain, tmp_path / "w.caffemodel")
    assert "left out, since only training uses them: loss1, loss2" in report.notes
    assert torch.equal(plain.linear.weight, theirs.linear.weight)


@pytest.mark.parametrize("name", ["squeezenet1_0", "squeezenet1_1"])
def test_squeezenet(tmp_path, name: str) -> None:
    theirs, ours = (convarium.create_model(name) for _ in range(2))
    randomise(theirs)
    data = layer("conv1", "Convolution", _arrays(theirs.features.conv1))
    for number in range(2, 10):
        fire = getattr(theirs.features, f"fire{number}")
        for word in "squeeze1x1 expand1x1 expand3x3".split():
            data += layer(f"fire{number}/{word}", "Convolution", _arrays(getattr(fire, word)))
    data += layer("conv10", "Convolution", _arrays(theirs.conv10))
    (tmp_path / "w.caffemodel").write_bytes(data)
    convarium.load_weights(ours, tmp_path / "w.caffemodel")
    assert same_state(ours, theirs)


def test_densenet_of_the_common_port(tmp_path) -> None:
    theirs, ours = (convarium.create_model("densenet121").eval() for _ in range(2))
    randomise(theirs)
    parts = dict(theirs.features.named_modules())

    def conv(name: str, module: nn.Module) -> bytes:
        return layer(name, "Convolution", _arrays(module))

    data = conv("conv1", parts["convolution"])
    data += _norm_layers("conv1/bn", "conv1/scale", parts["norm"])
    for stage, count in enumerate((6, 12, 24, 16), start=2):
        for number in range(1, count + 1):
            for half, word in (("x1", "first"), ("x2", "second")):
                name = f"conv{stage}_{number}/{half}"
                ours_name = f"dense_block{stage - 1}.layer{number}.{word}"
                data += _norm_layers(f"{name}/bn", f"{name}/scale", parts[f"{ours_name}.norm"])
                data += conv(name, parts[f"{ours_name}.conv"])
        name = f"conv{stage}_blk"
        last = f"transition{stage - 1}.0.norm" if stage < 5 else "last_norm"
        data += _norm_layers(f"{name}/bn", f"{name}/scale", parts[last])
        if stage < 5:
            data += conv(name, parts[f"transition{stage - 1}.0.conv"])
    weight, bias = _arrays(theirs.classifier)
    data += layer("fc6", "Convolution", [weight[:, :, None, None], bias])
    (tmp_path / "w.caffemodel").write_bytes(data)
    convarium.load_weights(ours, tmp_path / "w.caffemodel")
    x = pictures(64).float()
    with torch.no_grad():
        assert relative(ours(x), theirs(x)) < 1e-5
