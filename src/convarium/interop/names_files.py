"""What Caffe's published models and Keras's applications call our layers.

Caffe: BVLC's reference models, the VGG group's, the SqueezeNet and ResNet authors', and the
common ports of DenseNet and MobileNet. Keras: keras.applications, old spelling and new.
"""

from __future__ import annotations

from torch import nn

from convarium.interop.layers import layers_of
from convarium.interop.names import Names, Table, renamed, stride_of_first_1x1
from convarium.nets.densenet import DenseNet
from convarium.nets.googlenet import GoogLeNet, GoogLeNetAux
from convarium.nets.lenet import LeNetCaffe
from convarium.nets.mobilenet import MobileNetV1
from convarium.nets.nin import NiN
from convarium.nets.resnet import ImageNetTable
from convarium.nets.squeezenet import SqueezeNet
from convarium.nets.vgg import VGG

BGR = "a file of Caffe: its first layer takes blue, green, red, as Caffe reads pictures"
KERAS_EPS = 1.001e-5  # of the batch norms of keras.applications' ResNet and DenseNet

LAST_WORD: Table = ((r"(?:features|classifier)\.(.+)", r"\1"),)
FIRE: Table = (
    (r"features\.(fire\d)\.(.+)", r"\1/\2"),
    *LAST_WORD,
)
INCEPTION: Table = (
    (r"stem\.conv1", "conv1/7x7_s2"),
    (r"stem\.conv2_reduce", "conv2/3x3_reduce"),
    (r"stem\.conv2", "conv2/3x3"),
    (r"(inception_..)\.branch1x1\.conv", r"\1/1x1"),
    (r"(inception_..)\.branch(.x.)\.reduce", r"\1/\2_reduce"),
    (r"(inception_..)\.branch(.x.)\.conv", r"\1/\2"),
    (r"(inception_..)\.branch_pool\.proj", r"\1/pool_proj"),
    (r"aux(\d)\.linear", r"loss\1/classifier"),
    (r"aux(\d)\.(.+)", r"loss\1/\2"),
    (r"linear", "loss3/classifier"),
)
NIN_IMAGENET: Table = (
    (r"features\.(conv4|cccp7)", r"\1-1024"),
    (r"features\.cccp8", "cccp8-1024"),
    *LAST_WORD,
)
CAFFE_DENSENET: Table = (
    (r"features\.convolution", "conv1"),
    (r"features\.norm", "conv1/bn"),
    (r"features\.last_norm", "conv5_blk/bn"),
    (
        r"features\.dense_block(\d)\.layer(\d+)\.(first|second)\.(norm|conv)",
        lambda m: (
            f"conv{int(m[1]) + 1}_{m[2]}/{'x1' if m[3] == 'first' else 'x2'}"
            f"{'/bn' if m[4] == 'norm' else ''}"
        ),
    ),
    (
        r"features\.transition(\d)\.0\.(norm|conv)",
        lambda m: f"conv{int(m[1]) + 1}_blk{'/bn' if m[2] == 'norm' else ''}",
    ),
    (r"classifier", "fc6"),
)
_MOBILE_ROWS = "2_1 2_2 3_1 3_2 4_1 4_2 5_1 5_2 5_3 5_4 5_5 5_6 6".split()
CAFFE_MOBILENET: Table = (
    (r"features\.conv1\.(conv|norm)", lambda m: "conv1" + _slash_bn(m[1])),
    (
        r"features\.conv(\d+)_(dw|pw)\.(conv|norm)",
        lambda m: (
            f"conv{_MOBILE_ROWS[int(m[1]) - 2]}/{'dw' if m[2] == 'dw' else 'sep'}{_slash_bn(m[3])}"
        ),
    ),
    (r"fc", "fc7"),
)
KERAS_VGG: Table = (
    (r"features\.conv(\d)_(\d)", r"block\1_conv\2"),
    (r"classifier\.fc6", "fc1"),
    (r"classifier\.fc7", "fc2"),
    (r"classifier\.fc8", "predictions"),
)
KERAS_RESNET: Table = (
    (r"conv1", "conv1_conv"),
    (r"bn1", "conv1_bn"),
    (r"conv\d_x\.conv(\d)_(\d+)\.conv(\d)", r"conv\1_block\2_\3_conv"),
    (r"conv\d_x\.conv(\d)_(\d+)\.bn(\d)", r"conv\1_block\2_\3_bn"),
    (r"conv\d_x\.conv(\d)_(\d+)\.shortcut\.0", r"conv\1_block\2_0_conv"),
    (r"conv\d_x\.conv(\d)_(\d+)\.shortcut\.1", r"conv\1_block\2_0_bn"),
    (r"fc", "predictions"),
)
KERAS_DENSENET: Table = (
    (r"features\.convolution", "conv1_conv"),
    (r"features\.norm", "conv1_bn"),
    (r"features\.last_norm", "bn"),
    (
        r"features\.dense_block(\d)\.layer(\d+)\.(first|second)\.(norm|conv)",
        lambda m: (
            f"conv{int(m[1]) + 1}_block{m[2]}_"
            + {"firstnorm": "0_bn", "firstconv": "1_conv", "secondnorm": "1_bn"}.get(
                m[3] + m[4], "2_conv"
            )
        ),
    ),
    (
        r"features\.transition(\d)\.0\.(norm|conv)",
        lambda m: f"pool{int(m[1]) + 1}_{'bn' if m[2] == 'norm' else 'conv'}",
    ),
    (r"classifier", "predictions"),
)
KERAS_MOBILENET: Table = (
    (r"features\.conv1\.conv", "conv1"),
    (r"features\.conv1\.norm", "conv1_bn"),
    (
        r"features\.conv(\d+)_(dw|pw)\.(conv|norm)",
        lambda m: f"conv_{m[2]}_{int(m[1]) - 1}{'_bn' if m[3] == 'norm' else ''}",
    ),
    (r"fc", "conv_preds"),
)


def caffe_names(model: nn.Module) -> list[Names]:
    """The names that Caffe's published models give the layers of `model`."""
    layers = layers_of(model)
    notes = () if isinstance(model, LeNetCaffe) else (BGR,)
    left_out: tuple[str, ...] = ()
    differs: str | None = None
    if isinstance(model, ImageNetTable):
        differs = _strides_differ(model)
        tables = [authors_resnet(model, many_letters=many) for many in (False, True)]
    elif isinstance(model, GoogLeNet):
        tables = [INCEPTION]
        left_out = () if isinstance(model, GoogLeNetAux) else ("loss1/", "loss2/")
    else:
        tables = [_caffe_table(model)]
    return [
        Names("caffe", renamed(layers, table), differs, left_out=left_out, notes=notes)
        for table in tables
    ]


def keras_names(model: nn.Module) -> list[Names]:
    """The names that keras.applications gives the layers of `model`, old spelling and new."""
    layers = layers_of(model)
    if isinstance(model, VGG):
        # The second is of the port of Caffe's weights to TensorFlow: conv1_1_W.
        return [Names("keras", renamed(layers, table)) for table in (KERAS_VGG, LAST_WORD)]
    if isinstance(model, ImageNetTable):
        differs = _strides_differ(model)
        tables = [KERAS_RESNET, (*KERAS_RESNET[:-1], (r"fc", "probs"))]
        tables += [authors_resnet(model, many_letters=False)]
        found = [renamed(layers, table) for table in tables]
        eps = (KERAS_EPS, KERAS_EPS, 1e-3)  # the first release had Keras's own default
        return [
            Names("keras", theirs, differs, norm_eps=one, padding_known=True)
            for theirs, one in zip(found, eps, strict=True)
        ]
    if isinstance(model, DenseNet):
        # Before Keras 3 the first two layers are called conv1/conv and conv1/bn.
        stems = [
            KERAS_DENSENET[:2],
            ((r"features\.convolution", "conv1/conv"), (r"features\.norm", "conv1/bn")),
        ]
        heads = [(r"classifier", word) for word in ("predictions", "fc1000")]
        tables = [(*stem, *KERAS_DENSENET[2:-1], head) for stem in stems for head in heads]
        eps_of = {"norm_eps": KERAS_EPS, "padding_known": True}
        found = [renamed(layers, table) for table in tables]
        return [Names("keras", theirs, **eps_of) for theirs in found]  # type: ignore[arg-type]
    if type(model) is MobileNetV1:
        return [Names("keras", renamed(layers, KERAS_MOBILENET))]
    return [Names("keras", renamed(layers, _caffe_table(model)))]


def authors_resnet(model: nn.Module, *, many_letters: bool) -> Table:
    """Names of the ResNet authors' files: res2a_branch2a, bn2a_branch2a, res2a_branch1, fc1000.

    Args:
        model: the network; stages of many blocks count them.
        many_letters: blocks are a, b, c .. z throughout; otherwise, in networks of 101 and 152
            layers, stages of more than three blocks have a, b1, b2 .., as the authors do.
    """
    stages = [stage for name, stage in model.named_children() if name.endswith("_x")]
    blocks = [len(list(stage.children())) for stage in stages]

    def letter(stage: int, block: int) -> str:
        counts = max(blocks) > 6 and blocks[stage - 2] > 3 and not many_letters
        if counts:
            return "a" if block == 1 else f"b{block - 1}"
        return chr(ord("a") + block - 1)

    def inside(kind: str, stage: str, block: str, branch: str) -> str:
        return f"{kind}{stage}{letter(int(stage), int(block))}_branch{branch}"

    return (
        (r"conv1", "conv1"),
        (r"bn1", "bn_conv1"),
        (
            r"conv._x\.conv(\d)_(\d+)\.conv(\d)",
            lambda m: inside("res", m[1], m[2], "2" + "abc"[int(m[3]) - 1]),
        ),
        (
            r"conv._x\.conv(\d)_(\d+)\.bn(\d)",
            lambda m: inside("bn", m[1], m[2], "2" + "abc"[int(m[3]) - 1]),
        ),
        (r"conv._x\.conv(\d)_(\d+)\.shortcut\.0", lambda m: inside("res", m[1], m[2], "1")),
        (r"conv._x\.conv(\d)_(\d+)\.shortcut\.1", lambda m: inside("bn", m[1], m[2], "1")),
        (r"fc", "fc1000"),
    )


def _caffe_table(model: nn.Module) -> Table:
    if isinstance(model, SqueezeNet):
        return FIRE
    if isinstance(model, DenseNet):
        return CAFFE_DENSENET
    if type(model) is MobileNetV1:
        return CAFFE_MOBILENET
    is_imagenet = isinstance(model, NiN) and hasattr(model.features, "conv4")
    return NIN_IMAGENET if is_imagenet else LAST_WORD


def _slash_bn(word: str) -> str:
    return "/bn" if word == "norm" else ""


def _strides_differ(model: nn.Module) -> str | None:
    """The authors' ResNets, and Keras's, have the stride in the first 1x1 of a block."""
    if stride_of_first_1x1(model) == 1:
        return "its stride stands in the first 1x1 of a block, as in resnet50, 101 and 152"
    return None
