"""What is built: one row a network. Modules are named as strings, so listing imports nothing heavy.

A row is (name, builder, options, departures). The builder is "module:callable" in
`convarium.nets`; the options are its keyword arguments beside `in_channels` and `num_classes`.
`departures` says how the network differs from the paper's words, and where the paper is silent.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from convarium import departures
from convarium.errors import unknown_name

if TYPE_CHECKING:
    from convarium.facts import ModelFacts


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
_HE = "Paper silent on the values that fc starts from: He normal with fan-in, as for convolutions."
_OPTION_A = "Paper silent on where option A puts its zero channels: half before, half after."
_STRIDE_1X1 = (
    "Table 1 leaves open which layer has stride 2: the first 1x1, as in the authors' models."
)
_STRIDE_3X3 = "Not in the paper: stride 2 in the 3x3, as in fb.resnet.torch and torchvision."
_POOL1 = (
    "Paper silent on pool1's border: one pixel all round; the authors' models, the far side only."
)
_RESNET = (
    *(
        Network(f"plain{depth}", "resnet", "resnet:ResNet", options, (_POOL1, _HE))
        for depth in (18, 34)
        for options in ({"depth": depth, "shortcut": "none"},)
    ),
    *(
        Network(f"resnet{depth}_{option.lower()}", "resnet", "resnet:ResNet", options, departures)
        for depth in (18, 34)
        for option in "ABC"
        for options in ({"depth": depth, "shortcut": option},)
        for departures in ((_OPTION_A, _POOL1, _HE) if option == "A" else (_POOL1, _HE),)
    ),
    *(
        Network(f"resnet{depth}", "resnet", "resnet:ResNet", {"depth": depth}, departures)
        for depth in (50, 101, 152)
        for departures in ((_STRIDE_1X1, _POOL1, _HE),)
    ),
    *(
        Network(f"resnet{depth}_v1_5", "resnet", "resnet:ResNetV15", options, (_STRIDE_3X3, _HE))
        for depth in (50, 101, 152)
        for options in ({"depth": depth},)
    ),
    *(
        Network(f"resnet{depth}_cifar", "resnet", "resnet_cifar:ResNetCIFAR", options, departures)
        for depth in (20, 32, 44, 56, 110, 1202)
        for options, departures in (({"depth": depth}, (_OPTION_A, _HE)),)
    ),
    *(
        Network(f"plain{depth}_cifar", "resnet", "resnet_cifar:PlainCIFAR", options, (_HE,))
        for depth in (20, 32, 44, 56)
        for options in ({"depth": depth},)
    ),
)
_FAN_IN = (
    "Paper silent on fan-in or fan-out of He's initial values: fan-in; the authors' code: out."
)
_PREACT_A = "Paper silent on what option A pads in a pre-activation unit: x, before its activation."
_PREACT_STEM = (
    "Paper silent on the stem: BN and ReLU after conv1, then max pooling, then each unit's own BN."
)
_PREACT_18 = "Not in the paper: 18 layers."
_PREACT = (
    *(
        Network(f"preact_resnet{depth}", "preact_resnet", builder, {"depth": depth}, departures)
        for builder in ("preact_resnet:PreActResNetCIFAR",)
        for depth, departures in (
            (110, (_PREACT_A, _OPTION_A, _FAN_IN)),
            (164, (_FAN_IN,)),
            (1001, (_FAN_IN,)),
        )
    ),
    *(
        Network(f"preact_resnet{depth}", "preact_resnet", builder, {"depth": depth}, departures)
        for builder in ("preact_resnet:PreActResNet",)
        for depth, departures in (
            (18, (_PREACT_18, _PREACT_STEM, _FAN_IN)),
            (152, (_PREACT_STEM, _FAN_IN)),
            (200, (_PREACT_STEM, _FAN_IN)),
        )
    ),
)
_WIDE_STRIDE = "Paper silent on the stride's place: the 3x3, as in fb.resnet.torch."
_WIDE = (
    *(
        Network(f"wrn_{size}", "wide_resnet", "wide_resnet:WideResNet", options, (_FAN_IN,))
        for size in "40_1 40_2 40_4 16_4 16_8 28_10 40_8 28_12 22_8".split()
        for depth, k in (map(int, size.split("_")),)
        for options in ({"depth": depth, "widen": k},)
    ),
    *(
        Network(f"wrn_{depth}_2_bottleneck", "wide_resnet", builder, {"depth": depth}, departures)
        for builder in ("wide_resnet:WideBottleneckResNet",)
        for depth, departures in (
            (50, (_WIDE_STRIDE, _FAN_IN)),
            (101, ("Not in the paper: torchvision's addition.", _WIDE_STRIDE, _FAN_IN)),
        )
    ),
)
_RESNEXT_CONV1 = "Paper silent on the filters of conv1: 64, as in the authors' code."
_RESNEXT = (
    *(
        Network(f"resnext{depth}_{c}x4d", "resnext", "resnext:ResNeXt", options, (_FAN_IN,))
        for depth, c in ((50, 32), (101, 32), (101, 64))
        for options in ({"depth": depth, "cardinality": c, "width": 4},)
    ),
    *(
        Network(f"resnext29_{c}x64d_cifar", "resnext", builder, options, (_RESNEXT_CONV1, _FAN_IN))
        for builder in ("resnext:ResNeXtCIFAR",)
        for c in (8, 16)
        for options in ({"cardinality": c, "width": 64},)
    ),
)
_ZEROS_BEHIND = "Paper silent on where the zero channels stand: behind, as in the authors' code."
_NO_BIAS = "The authors' code gives convolutions a bias; before a batch norm it trains to nothing."
_SVHN = (
    "Paper silent on the filters at 152 layers: 16, 32, 64, as at 110; 3 x 25 blocks are its own."
)
_STOCHASTIC = (
    *(
        Network(f"stochastic_depth_{name}", "stochastic_depth", builder, options, departures)
        for builder in ("stochastic_depth:StochasticDepthCIFAR",)
        for name, depth, departures in (
            ("110", 110, (_ZEROS_BEHIND, _NO_BIAS, _HE)),
            ("152_svhn", 152, (_SVHN, _ZEROS_BEHIND, _NO_BIAS, _HE)),
            ("1202", 1202, (_ZEROS_BEHIND, _NO_BIAS, _HE)),
        )
        for options in ({"depth": depth},)
    ),
    Network(
        "stochastic_depth_152_imagenet",
        "stochastic_depth",
        "stochastic_depth:StochasticDepthImageNet",
        departures=("Stride 2 in the 3x3: the paper trains fb.resnet.torch's ResNet-152.", _HE),
    ),
)
_FRACTALNET = (
    Network(
        "fractalnet20_c3_cifar",
        "fractalnet",
        "fractalnet:FractalNetCIFAR",
        {"columns": 3, "filters": 64},
        departures.FRACTALNET,
    ),
    Network(
        "fractalnet40_c4_cifar",
        "fractalnet",
        "fractalnet:FractalNetCIFAR",
        {"columns": 4, "filters": 32},
        departures.FRACTALNET_40,
    ),
    *(
        Network(
            f"fractalnet_thin_c{columns}",
            "fractalnet",
            "fractalnet:FractalNetCIFAR",
            {"columns": columns, "filters": 16, "num_classes": 100},
            departures.FRACTALNET,
        )
        for columns in (1, 2, 3, 4, 5, 6)
    ),
    Network(
        "fractalnet34_c4_imagenet",
        "fractalnet",
        "fractalnet:FractalNetImageNet",
        departures=departures.FRACTALNET_34,
    ),
)
_DENSENET = (
    *(
        Network(f"densenet{depth}", "densenet", "densenet:DenseNet", {"depth": depth}, why)
        for depth, why in (
            (121, departures.DENSENET),
            (169, departures.DENSENET),
            (201, departures.DENSENET),
            (264, departures.DENSENET_264),
            (161, departures.DENSENET_161),
        )
    ),
    *(
        Network(
            f"densenet_{depth}_{k}_cifar",
            "densenet",
            "densenet:DenseNetCIFAR",
            {"depth": depth, "growth": k},
            departures.DENSENET_PLAIN_CIFAR,
        )
        for depth, k in ((40, 12), (100, 12), (100, 24))
    ),
    *(
        Network(
            f"densenet_bc_{depth}_{k}_cifar",
            "densenet",
            "densenet:DenseNetBCCIFAR",
            {"depth": depth, "growth": k},
            departures.DENSENET_CIFAR,
        )
        for depth, k in ((100, 12), (250, 24), (190, 40))
    ),
)
_SQUEEZENET = (
    *(
        Network(name, "squeezenet", "squeezenet:SqueezeNet", {"bypass": bypass}, why)
        for name, bypass, why in (
            ("squeezenet1_0", "none", departures.SQUEEZENET),
            ("squeezenet_simple_bypass", "simple", departures.SQUEEZENET_SIMPLE),
            ("squeezenet_complex_bypass", "complex", departures.SQUEEZENET_COMPLEX),
        )
    ),
    *(
        Network(name, "squeezenet", f"squeezenet:{builder}", departures=why)
        for name, builder, why in (
            ("squeezenet1_1", "SqueezeNet11", departures.SQUEEZENET_1_1),
            ("squeezenet_32px", "SqueezeNet32px", departures.SQUEEZENET_32PX),
        )
    ),
)
_MOBILENET = (
    *(
        Network(
            f"mobilenet_v1_{alpha:03}_{side}",
            "mobilenet",
            "mobilenet:MobileNetV1",
            {"alpha": alpha / 100},
            departures.MOBILENET,
        )
        for alpha in (100, 75, 50, 25)
        for side in (224, 192, 160, 128)
    ),
    *(
        Network(f"mobilenet_v1_{name}", "mobilenet", f"mobilenet:{builder}", options, why)
        for name, builder, options, why in (
            ("full_conv", "MobileNetV1FullConv", {}, departures.MOBILENET_FULL_CONV),
            ("shallow", "MobileNetV1Shallow", {}, departures.MOBILENET),
            ("050_32px", "MobileNetV1_32px", {"alpha": 0.5}, departures.MOBILENET_32PX),
        )
    ),
)
_DARKNET = (
    Network("darknet19", "darknet", "darknet:Darknet19", departures=departures.DARKNET),
    Network("darknet53", "darknet", "darknet:Darknet53", departures=departures.DARKNET),
    Network("extraction", "darknet", "darknet:Extraction", departures=departures.EXTRACTION),
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

# Native inputs, (channels, height, width) in pixels, of the networks that the ledger has not.
BEYOND_LEDGER: dict[str, tuple[int, int, int]] = {
    "lenet_caffe": (1, 28, 28),
    "extraction": (3, 224, 224),
    "vgg_a_32px": (3, 32, 32),
    "googlenet_32px": (3, 32, 32),
    "squeezenet_32px": (3, 32, 32),
    "mobilenet_v1_050_32px": (3, 32, 32),
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


def facts_of(name: str) -> ModelFacts:
    """The ledger's entry of a built network, or what is known of one that the ledger has not.

    Raises:
        UsageError: no network has that name.

    >>> facts_of("squeezenet_32px").input
    (3, 32, 32)
    """
    from convarium import facts  # reads YAML, which listing the names need not wait for

    row = find(name)
    if row.name in BEYOND_LEDGER:
        return facts.beyond_ledger(row.name, row.family, BEYOND_LEDGER[row.name])
    return facts.model_facts(row.name)


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
