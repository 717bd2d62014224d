"""What is built: one row a network. Modules are named as strings, so listing imports nothing heavy.

A row is (name, builder, options, departures). The builder is "module:callable" in
`convarium.nets`; the options are its keyword arguments beside `in_channels` and `num_classes`.
`departures` says how the network differs from the paper's words, and where the paper is silent.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from convarium import departures
from convarium.errors import unknown_name


@dataclass(frozen=True, slots=True)
class Network:
    """One row of the catalog.

    `traced` is the mode whose forward pass holds the whole network: "train" where heads run in
    training only, so that counts by name include them.
    """

    name: str
    family: str
    builder: str
    options: dict[str, Any] = field(default_factory=dict, hash=False)
    departures: tuple[str, ...] = ()
    task: str = "classification"
    traced: str = "eval"


_LENET = (
    Network("lenet5", "lenet", "lenet:LeNet5", departures=departures.LENET5),
    Network("lenet_caffe", "lenet", "lenet:LeNetCaffe", departures=departures.LENET_CAFFE),
)
_ALEXNET = (
    Network("alexnet_2gpu", "alexnet", "alexnet:AlexNet2GPU", departures=departures.ALEXNET_2GPU),
    Network(
        "alexnet_ungrouped", "alexnet", "alexnet:AlexNet", departures=departures.ALEXNET_UNGROUPED
    ),
    Network("alexnet_owt", "alexnet", "alexnet:AlexNetOWT", departures=departures.ALEXNET_OWT),
)
_ZFNET = (Network("zfnet", "zfnet", "zfnet:ZFNet", departures=departures.ZFNET),)
_NIN = tuple(
    Network(name, "nin", "nin:NiN", {"table": table, "num_classes": classes}, departs)
    for name, table, classes, departs in (
        ("nin_cifar10", "cifar-10", 10, departures.NIN_CIFAR),
        ("nin_cifar100", "cifar-100", 100, departures.NIN_CIFAR),
        ("nin_imagenet", "imagenet", 1000, departures.NIN_IMAGENET),
    )
)
_VGG = (
    Network("vgg_a", "vgg", "vgg:VGG", {"column": "A"}),
    Network("vgg_a_lrn", "vgg", "vgg:VGG", {"column": "A-LRN"}),
    Network("vgg_b", "vgg", "vgg:VGG", {"column": "B"}, departures.VGG_DEEPER),
    Network("vgg_c", "vgg", "vgg:VGG", {"column": "C"}, departures.VGG_DEEPER),
    Network("vgg_d", "vgg", "vgg:VGG", {"column": "D"}, departures.VGG_DEEPER),
    Network("vgg_e", "vgg", "vgg:VGG", {"column": "E"}, departures.VGG_DEEPER),
    Network("vgg_a_32px", "vgg", "vgg:VGG32px", {"column": "A"}, departures.VGG_32PX),
)
_GOOGLENET = (
    Network("googlenet", "googlenet", "googlenet:GoogLeNet", {}, departures.GOOGLENET),
    Network(
        "googlenet_aux",
        "googlenet",
        "googlenet:GoogLeNetAux",
        departures=departures.GOOGLENET,
        traced="train",
    ),
    *(
        Network(name, "googlenet", f"googlenet:{builder}", {}, departures.INCEPTION, "features")
        for name, builder in (
            ("inception_naive", "InceptionNaive"),
            ("inception_bottleneck", "InceptionBottleneck"),
        )
    ),
    Network(
        "googlenet_32px", "googlenet", "googlenet:GoogLeNet32px", {}, departures.GOOGLENET_32PX
    ),
)
_RESNET = (
    Network("plain18", "resnet", "resnet:ResNet", {"depth": 18, "shortcut": "none"}),
    Network("plain34", "resnet", "resnet:ResNet", {"depth": 34, "shortcut": "none"}),
    *(
        Network(f"resnet{depth}_{option.lower()}", "resnet", "resnet:ResNet", options)
        for depth in (18, 34)
        for option in "ABC"
        for options in ({"depth": depth, "shortcut": option},)
    ),
    Network("resnet50", "resnet", "resnet:ResNet", {"depth": 50}),
    Network("resnet101", "resnet", "resnet:ResNet", {"depth": 101}),
    Network("resnet152", "resnet", "resnet:ResNet", {"depth": 152}),
    Network("resnet50_v1_5", "resnet", "resnet:ResNetV15", {"depth": 50}),
    Network("resnet101_v1_5", "resnet", "resnet:ResNetV15", {"depth": 101}),
    Network("resnet152_v1_5", "resnet", "resnet:ResNetV15", {"depth": 152}),
    *(
        Network(f"resnet{depth}_cifar", "resnet", "resnet_cifar:ResNetCIFAR", {"depth": depth})
        for depth in (20, 32, 44, 56, 110, 1202)
    ),
    *(
        Network(f"plain{depth}_cifar", "resnet", "resnet_cifar:PlainCIFAR", {"depth": depth})
        for depth in (20, 32, 44, 56)
    ),
)
_PREACT = (
    *(
        Network(
            f"preact_resnet{depth}", "preact_resnet", "preact_resnet:PreActResNetCIFAR", options
        )
        for depth in (110, 164, 1001)
        for options in ({"depth": depth},)
    ),
    *(
        Network(f"preact_resnet{depth}", "preact_resnet", "preact_resnet:PreActResNet", options)
        for depth in (18, 152, 200)
        for options in ({"depth": depth},)
    ),
)
_WIDE = (
    *(
        Network(f"wrn_{depth}_{k}", "wide_resnet", "wide_resnet:WideResNet", options)
        for depth, k in (
            (40, 1),
            (40, 2),
            (40, 4),
            (16, 4),
            (16, 8),
            (28, 10),
            (40, 8),
            (28, 12),
            (22, 8),
        )
        for options in ({"depth": depth, "widen": k},)
    ),
    Network(
        "wrn_50_2_bottleneck", "wide_resnet", "wide_resnet:WideBottleneckResNet", {"depth": 50}
    ),
    Network(
        "wrn_101_2_bottleneck", "wide_resnet", "wide_resnet:WideBottleneckResNet", {"depth": 101}
    ),
)
_RESNEXT = (
    Network(
        "resnext50_32x4d",
        "resnext",
        "resnext:ResNeXt",
        {"depth": 50, "cardinality": 32, "width": 4},
    ),
    Network(
        "resnext101_32x4d",
        "resnext",
        "resnext:ResNeXt",
        {"depth": 101, "cardinality": 32, "width": 4},
    ),
    Network(
        "resnext101_64x4d",
        "resnext",
        "resnext:ResNeXt",
        {"depth": 101, "cardinality": 64, "width": 4},
    ),
    Network(
        "resnext29_8x64d_cifar", "resnext", "resnext:ResNeXtCIFAR", {"cardinality": 8, "width": 64}
    ),
    Network(
        "resnext29_16x64d_cifar",
        "resnext",
        "resnext:ResNeXtCIFAR",
        {"cardinality": 16, "width": 64},
    ),
)
_STOCHASTIC = (
    Network(
        "stochastic_depth_110",
        "stochastic_depth",
        "stochastic_depth:StochasticDepthCIFAR",
        {"depth": 110},
    ),
    Network(
        "stochastic_depth_152_svhn",
        "stochastic_depth",
        "stochastic_depth:StochasticDepthCIFAR",
        {"depth": 152},
    ),
    Network(
        "stochastic_depth_1202",
        "stochastic_depth",
        "stochastic_depth:StochasticDepthCIFAR",
        {"depth": 1202},
    ),
    Network(
        "stochastic_depth_152_imagenet",
        "stochastic_depth",
        "stochastic_depth:StochasticDepthImageNet",
    ),
)
_FRACTALNET = (
    Network("fractalnet20_c3_cifar", "fractalnet", "fractalnet:FractalNetCIFAR", {"columns": 3}),
    Network("fractalnet40_c4_cifar", "fractalnet", "fractalnet:FractalNetCIFAR", {"columns": 4}),
    *(
        Network(
            f"fractalnet_thin_c{columns}",
            "fractalnet",
            "fractalnet:FractalNetCIFAR",
            {"columns": columns},
        )
        for columns in (1, 2, 3, 4, 5, 6)
    ),
    Network("fractalnet34_c4_imagenet", "fractalnet", "fractalnet:FractalNetImageNet"),
)
_DENSENET = (
    *(
        Network(f"densenet{depth}", "densenet", "densenet:DenseNet", {"depth": depth})
        for depth in (121, 169, 201, 264, 161)
    ),
    *(
        Network(
            f"densenet_{depth}_{k}_cifar",
            "densenet",
            "densenet:DenseNetCIFAR",
            {"depth": depth, "growth": k},
        )
        for depth, k in ((40, 12), (100, 12), (100, 24))
    ),
    *(
        Network(
            f"densenet_bc_{depth}_{k}_cifar",
            "densenet",
            "densenet:DenseNetBCCIFAR",
            {"depth": depth, "growth": k},
        )
        for depth, k in ((100, 12), (250, 24), (190, 40))
    ),
)
_SQUEEZENET = (
    Network("squeezenet1_0", "squeezenet", "squeezenet:SqueezeNet", {"bypass": "none"}),
    Network(
        "squeezenet_simple_bypass", "squeezenet", "squeezenet:SqueezeNet", {"bypass": "simple"}
    ),
    Network(
        "squeezenet_complex_bypass", "squeezenet", "squeezenet:SqueezeNet", {"bypass": "complex"}
    ),
    Network("squeezenet1_1", "squeezenet", "squeezenet:SqueezeNet11"),
    Network("squeezenet_32px", "squeezenet", "squeezenet:SqueezeNet32px"),
)
_MOBILENET = (
    *(
        Network(
            f"mobilenet_v1_{alpha:03}_{side}",
            "mobilenet",
            "mobilenet:MobileNetV1",
            {"alpha": alpha / 100},
        )
        for alpha in (100, 75, 50, 25)
        for side in (224, 192, 160, 128)
    ),
    Network("mobilenet_v1_full_conv", "mobilenet", "mobilenet:MobileNetV1FullConv"),
    Network("mobilenet_v1_shallow", "mobilenet", "mobilenet:MobileNetV1Shallow"),
    Network("mobilenet_v1_050_32px", "mobilenet", "mobilenet:MobileNetV1_32px", {"alpha": 0.5}),
)
_DARKNET = (
    Network("darknet19", "darknet", "darknet:Darknet19"),
    Network("darknet53", "darknet", "darknet:Darknet53"),
    Network("extraction", "darknet", "darknet:Extraction"),
)

CATALOG: dict[str, Network] = {
    row.name: row
    for rows in (
        _LENET,
        _ALEXNET,
        _ZFNET,
        _NIN,
        _VGG,
        _GOOGLENET,
        _RESNET,
        _PREACT,
        _WIDE,
        _RESNEXT,
        _STOCHASTIC,
        _FRACTALNET,
        _DENSENET,
        _SQUEEZENET,
        _MOBILENET,
        _DARKNET,
    )
    for row in rows
}

ALIASES: dict[str, str] = {
    "alexnet": "alexnet_2gpu",
    "vgg11": "vgg_a",
    "vgg13": "vgg_b",
    "vgg16": "vgg_d",
    "vgg19": "vgg_e",
    "resnet18": "resnet18_b",
    "resnet34": "resnet34_b",
    "squeezenet": "squeezenet1_0",
    "mobilenet_v1": "mobilenet_v1_100_224",
    "densenet_bc100": "densenet_bc_100_12_cifar",
    "wide_resnet50_2": "wrn_50_2_bottleneck",
    "wide_resnet101_2": "wrn_101_2_bottleneck",
    "nin": "nin_cifar10",
}


def find(name: str) -> Network:
    """The catalog's row of a network, by its name or an alias.

    Raises:
        UsageError: there is none; the message names the closest ones.

    >>> find("vgg16").name
    'vgg_d'
    """
    key = ALIASES.get(name, name)
    if key not in CATALOG:
        raise unknown_name("network", name, [*CATALOG, *ALIASES])
    return CATALOG[key]


def list_models(
    pattern: str = "*", *, family: str | None = None, task: str | None = None
) -> list[str]:
    """Names of the built networks that match, in the catalog's order (family by family).

    Args:
        pattern: shell pattern over names, such as "resnet*_cifar".
        family: one of the ledger's families, such as "vgg".
        task: "classification", or "features" for a module that gives a feature map.

    Raises:
        UsageError: no such family or task.

    >>> list_models("vgg_a*")
    ['vgg_a', 'vgg_a_lrn', 'vgg_a_32px']
    """
    _known("family", family, _families())
    _known("task", task, tuple(dict.fromkeys(row.task for row in CATALOG.values())))
    return [
        row.name
        for row in CATALOG.values()
        if fnmatch.fnmatchcase(row.name, pattern)
        and family in (None, row.family)
        and task in (None, row.task)
    ]


@cache
def _families() -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.family for row in CATALOG.values()))


def _known(kind: str, value: str | None, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        raise unknown_name(kind, value, known)
