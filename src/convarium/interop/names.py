"""What other ecosystems of PyTorch call our layers: a table of patterns a family.

Each table turns our name of a layer into theirs; a line is (pattern, replacement), the first that
matches wins. Since the names are a bijection, the same table serves import and export.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from torch import nn

from convarium.blocks.lrn import LocalResponseNorm
from convarium.interop.layers import Layer, layers_of
from convarium.nets.alexnet import AlexNet, AlexNet2GPU, AlexNetOWT
from convarium.nets.darknet import Darknet53
from convarium.nets.densenet import DenseNet
from convarium.nets.googlenet import GoogLeNet
from convarium.nets.mobilenet import MobileNetV1
from convarium.nets.resnet import ImageNetTable
from convarium.nets.resnet_cifar import ResNetCIFAR
from convarium.nets.squeezenet import BypassFire, SqueezeNet, SqueezeNet32px
from convarium.nets.stochastic_depth import Surviving
from convarium.nets.vgg import VGG

Table = tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]
AlexNetAny = (AlexNet, AlexNet2GPU)


@dataclass(frozen=True, slots=True)
class Names:
    """How one ecosystem names the layers of one network.

    Args:
        ecosystem: "torchvision", "timm", ..
        theirs: our layer's name -> theirs.
        differs: why their network of that name computes something else; None where it is equal.
        norm_eps: epsilon of their batch norms where it is not torch's 1e-5; None for "as ours".
        left_out: prefixes of layers of theirs that only train, which our network need not have.
        kernels: sides of the kernels of what are linear layers here and convolutions there.
        padding_known: their padding is written out, not TensorFlow's SAME (Keras only).
        notes: what to tell whoever loads such a file.
    """

    ecosystem: str
    theirs: dict[str, str]
    differs: str | None = None
    norm_eps: float | None = None
    left_out: tuple[str, ...] = ()
    padding_known: bool = False
    kernels: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def _less_one(*groups: int) -> Callable[[re.Match[str]], str]:
    """Counts from 0 what we count from 1: layer{}.{} of conv2_x.conv2_1 is layer1.0."""

    def replaced(match: re.Match[str]) -> str:
        numbers = [int(match[group]) - 1 for group in groups]
        return "layer{}.{}.{}".format(*numbers, match[3])

    return replaced


RESIDUAL: Table = (
    (r"conv\d_x\.conv(\d)_(\d+)\.shortcut\.(\d)", lambda m: _block(m, f"downsample.{m[3]}")),
    (r"conv\d_x\.conv(\d)_(\d+)\.(.+)", _less_one(1, 2)),
)
AKAMASTER: Table = (*RESIDUAL, (r"fc", "linear"))
GOOGLENET: Table = (
    (r"stem\.conv1", "conv1.conv"),
    (r"stem\.conv2_reduce", "conv2.conv"),
    (r"stem\.conv2", "conv3.conv"),
    (r"inception_(..)\.branch1x1\.conv", r"inception\1.branch1.conv"),
    (r"inception_(..)\.branch3x3\.reduce", r"inception\1.branch2.0.conv"),
    (r"inception_(..)\.branch3x3\.conv", r"inception\1.branch2.1.conv"),
    (r"inception_(..)\.branch5x5\.reduce", r"inception\1.branch3.0.conv"),
    (r"inception_(..)\.branch5x5\.conv", r"inception\1.branch3.1.conv"),
    (r"inception_(..)\.branch_pool\.proj", r"inception\1.branch4.1.conv"),
    (r"aux(\d)\.conv", r"aux\1.conv.conv"),
    (r"aux(\d)\.fc", r"aux\1.fc1"),
    (r"aux(\d)\.linear", r"aux\1.fc2"),
    (r"linear", "fc"),
)
_ALEX_CONVS = {"1": "0", "2": "3", "3": "6", "4": "8", "5": "10"}
_ALEX_DENSE = {"6": "1", "7": "4", "8": "6"}
ALEXNET: Table = (
    (r"(?:features\.)?conv(\d)", lambda m: f"features.{_ALEX_CONVS[m[1]]}"),
    (r"(?:classifier\.)?fc(\d)", lambda m: f"classifier.{_ALEX_DENSE[m[1]]}"),
)
DENSENET: Table = (
    (r"features\.convolution", "features.conv0"),
    (r"features\.norm", "features.norm0"),
    (r"features\.last_norm", "features.norm5"),
    (r"features\.transition(\d)\.0\.(norm|conv)", r"features.transition\1.\2"),
    (
        r"features\.dense_block(\d)\.layer(\d+)\.first\.(norm|conv)",
        r"features.denseblock\1.denselayer\2.\g<3>1",
    ),
    (
        r"features\.dense_block(\d)\.layer(\d+)\.second\.(norm|conv)",
        r"features.denseblock\1.denselayer\2.\g<3>2",
    ),
)
# Rows of Table 1 of MobileNet -> timm's blocks.STAGE.BLOCK, conv2 to conv14.
_MOBILE_BLOCKS = "0.0 1.0 1.1 2.0 2.1 3.0 3.1 3.2 3.3 3.4 3.5 4.0 4.1".split()
_MOBILE_LAYER = {
    ("dw", "conv"): "conv_dw",
    ("dw", "norm"): "bn1",
    ("pw", "conv"): "conv_pw",
    ("pw", "norm"): "bn2",
}
MOBILENET: Table = (
    (r"features\.conv1\.conv", "conv_stem"),
    (r"features\.conv1\.norm", "bn1"),
    (
        r"features\.conv(\d+)_(dw|pw)\.(conv|norm)",
        lambda m: f"blocks.{_MOBILE_BLOCKS[int(m[1]) - 2]}.{_MOBILE_LAYER[m[2], m[3]]}",
    ),
    (r"fc", "classifier"),
)
_BN = {"conv": "conv", "norm": "bn"}
DARKNET53: Table = (
    (r"conv1\.(conv|norm)", lambda m: f"stem.conv1.{_BN[m[1]]}"),
    (
        r"stages\.stage(\d)\.0\.(conv|norm)",
        lambda m: f"stages.{int(m[1]) - 1}.conv_down.{_BN[m[2]]}",
    ),
    (
        r"stages\.stage(\d)\.(\d+)\.(conv\d)\.(conv|norm)",
        lambda m: f"stages.{int(m[1]) - 1}.blocks.{int(m[2]) - 1}.{m[3]}.{_BN[m[4]]}",
    ),
    (r"connected", "head.fc"),
)
TIMM_VGG: Table = (
    (r"classifier\.fc6", "pre_logits.fc1"),
    (r"classifier\.fc7", "pre_logits.fc2"),
    (r"classifier\.fc8", "head.fc"),
)


def torch_names(model: nn.Module, ecosystem: str) -> list[Names]:
    """The names that torchvision, timm or akamaster give the layers of `model`; none if they don't.

    Args:
        model: a network of ours.
        ecosystem: "torchvision", "timm" or "akamaster".
    """
    if ecosystem == "akamaster":
        if not isinstance(model, ResNetCIFAR):
            return []
        # Others who follow him call the last layer "fc", as ImageNet's networks do.
        tables = (AKAMASTER, RESIDUAL)
        return [Names(ecosystem, renamed(layers_of(model), table)) for table in tables]
    if isinstance(model, ImageNetTable):
        theirs = renamed(layers_of(model), RESIDUAL)
        return [Names(ecosystem, theirs, differs=_residual_differs(model))]
    if isinstance(model, DenseNet):
        return [Names(ecosystem, renamed(layers_of(model), DENSENET))]
    if isinstance(model, VGG):
        return [_vgg(model, ecosystem)]
    return _of_torchvision(model) if ecosystem == "torchvision" else _of_timm(model)


def renamed(layers: Iterable[Layer], table: Table) -> dict[str, str]:
    """Our names of layers -> what the table makes of them; a name no line matches stays.

    Raises:
        ValueError: two layers get one name, so that the way back would be lost.
    """
    theirs = {layer.name: _rename(layer.name, table) for layer in layers}
    if len(set(theirs.values())) != len(theirs):
        raise ValueError("a table of names gives two layers one name")
    return theirs


def _rename(name: str, table: Table) -> str:
    for pattern, replacement in table:
        match = re.fullmatch(pattern, name)
        if match:
            return replacement(match) if callable(replacement) else match.expand(replacement)
    return name


def _block(match: re.Match[str], rest: str) -> str:
    return f"layer{int(match[1]) - 1}.{int(match[2]) - 1}.{rest}"


def _of_torchvision(model: nn.Module) -> list[Names]:
    layers = layers_of(model)
    if isinstance(model, GoogLeNet):
        differs = "torchvision's googlenet has batch norms, and 3x3 where the paper has 5x5"
        return [Names("torchvision", renamed(layers, GOOGLENET), differs)]
    if isinstance(model, AlexNetAny):
        differs = "torchvision's alexnet has no normalisation layers"
        if isinstance(model, AlexNetOWT):
            differs += " and 256 kernels in conv4"
        return [Names("torchvision", renamed(layers, ALEXNET), differs)]
    if isinstance(model, SqueezeNet) and not isinstance(model, SqueezeNet32px):
        places = _places(model.features, "features.", skip=())
        theirs = {layer.name: _fire(layer.name, places) for layer in layers}
        bypass = any(isinstance(module, BypassFire) for module in model.modules())
        why = "torchvision's squeezenet has no bypass" if bypass else None
        return [Names("torchvision", theirs, why)]
    return []


def _of_timm(model: nn.Module) -> list[Names]:
    layers = layers_of(model)
    # By class: the variants of MobileNet have other rows.
    if type(model) is MobileNetV1 and len(layers) == 2 * 27 + 1:
        note = "timm's mobilenetv1 has ReLU6 where the paper, and this network, has ReLU"
        return [Names("timm", renamed(layers, MOBILENET), norm_eps=1e-5, notes=(note,))]
    if isinstance(model, Darknet53):
        note = "timm's darknet53 has leaky ReLU of slope 0.01 where this network has 0.1"
        return [Names("timm", renamed(layers, DARKNET53), notes=(note,))]
    return []


def _vgg(model: VGG, ecosystem: str) -> Names:
    """Both count the rows of `features`, which with them has no normalisation."""
    places = _places(model.features, "features.", skip=(LocalResponseNorm,))
    theirs = {layer.name: places.get(layer.name, layer.name) for layer in layers_of(model)}
    kernels: dict[str, int] = {}
    if ecosystem == "timm":
        theirs = {ours: _rename(name, TIMM_VGG) for ours, name in theirs.items()}
        kernels = {"classifier.fc6": 7, "classifier.fc7": 1}
    else:
        theirs |= _places(model.classifier, "classifier.", skip=())
    theirs = {layer.name: theirs[layer.name] for layer in layers_of(model)}
    lrn = any(isinstance(module, LocalResponseNorm) for module in model.features)
    differs = f"{ecosystem}'s vgg11 has no normalisation layer, as vgg_a" if lrn else None
    return Names(ecosystem, theirs, differs, kernels=kernels)


def _places(rows: nn.Sequential, prefix: str, *, skip: tuple[type, ...]) -> dict[str, str]:
    """Our names of the rows of a Sequential -> their places in it, counted from 0."""
    kept = [name for name, row in rows.named_children() if not isinstance(row, skip)]
    return {f"{prefix}{name}": f"{prefix}{place}" for place, name in enumerate(kept)}


def _fire(name: str, places: dict[str, str]) -> str:
    if name == "conv10":
        return "classifier.1"
    _, row, *part = name.split(".")
    inner = ["squeeze" if word == "squeeze1x1" else word for word in part]
    return ".".join([places[f"features.{row}"], *inner])


def _residual_differs(model: ImageNetTable) -> str | None:
    """Torchvision's and timm's ResNets have option B, and the stride in the 3x3 of bottlenecks."""
    if any(isinstance(module, Surviving) for module in model.modules()):
        return "its blocks never die, and are not weighted by a survival rate"
    if stride_of_first_1x1(model) == 2:
        return "its stride stands in the 3x3 of a block, as in the networks named _v1_5"
    return None


def stride_of_first_1x1(model: nn.Module) -> int | None:
    """Of the first block that halves the maps, in pixels; None where blocks begin with a 3x3."""
    conv = dict(model.named_modules()).get("conv3_x.conv3_1.conv1")
    if not isinstance(conv, nn.Conv2d) or conv.kernel_size != (1, 1):
        return None
    return conv.stride[0]
