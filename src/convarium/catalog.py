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
    Network(
        "lenet5",
        "lenet",
        "lenet:LeNet5",
        departures=(
            "Figure 3 prints the centres' bitmaps as pictures: they are drawn after it.",
            "Biases, of which the paper is silent, are drawn as the weights of their unit.",
            "Class k from 10 on, which the paper has not, has the first 84 bits of SHA-256 of the "
            "decimal number k as its centre; fewer than ten classes take the first digits'.",
        ),
    ),
    Network(
        "lenet_caffe",
        "lenet",
        "lenet:LeNetCaffe",
        departures=("Not LeNet-5: Caffe's example, 20 and 50 maps, max pooling, softmax.",),
    ),
)
_ALEXNET_INPUT = "The paper prints a 224 picture; its 55x55 maps behind conv1 need 227, taken here."
_ALEXNET = (
    Network(
        "alexnet_2gpu",
        "alexnet",
        "alexnet:AlexNet2GPU",
        departures=(
            _ALEXNET_INPUT,
            "Each tower normalises its own maps; the paper does not say whether they are crossed.",
        ),
    ),
    Network(
        "alexnet_ungrouped",
        "alexnet",
        "alexnet:AlexNet",
        departures=(
            _ALEXNET_INPUT,
            "One tower: conv2, conv4 and conv5 see all maps. No paper has this network; its count "
            "is the one that tutorials print as AlexNet's.",
        ),
    ),
    Network(
        "alexnet_owt",
        "alexnet",
        "alexnet:AlexNetOWT",
        departures=(
            "conv4 has the 384 kernels of the paper's footnote; cuda-convnet2 and torchvision "
            "have 256, which is what the paper's text (0.2 % more parameters) fits.",
            "conv1 is padded by 2 to give 55x55 maps at 224; cuda-convnet2 pads 0 and rounds up.",
            "Normalisation, initial values and dropout, of which the paper is silent, are those "
            "of AlexNet; cuda-convnet2 keeps the normalisation, torchvision has none.",
        ),
    ),
)
_ZFNET = (
    Network(
        "zfnet",
        "zfnet",
        "zfnet:ZFNet",
        departures=(
            "Padding is not printed: 1 at conv1, pool1 and pool2, 0 at conv2 and pool5 give the "
            "printed sides.",
            "The contrast normalisation has AlexNet's constants; the paper prints none.",
            "The paper starts all weights from 10^-2, read as deviation 0.01 of a normal law.",
        ),
    ),
)
_NIN_WIDTHS = "Widths and initial values are those of the authors' cuda-convnet configuration."
_NIN = (
    Network(
        "nin_cifar10",
        "nin",
        "nin:NiN",
        {"table": "cifar-10", "num_classes": 10},
        (_NIN_WIDTHS,),
    ),
    Network(
        "nin_cifar100",
        "nin",
        "nin:NiN",
        {"table": "cifar-100", "num_classes": 100},
        (_NIN_WIDTHS,),
    ),
    Network(
        "nin_imagenet",
        "nin",
        "nin:NiN",
        {"table": "imagenet", "num_classes": 1000},
        ("Not in the paper: the authors' later Caffe model, nin_imagenet, at 227.",),
    ),
)
_VGG_START = (
    "All layers are drawn from N(0, 10^-2 variance); the paper starts four convolutions and the "
    "three FC layers from a trained net A.",
)
_VGG = (
    Network("vgg_a", "vgg", "vgg:VGG", {"column": "A"}),
    Network("vgg_a_lrn", "vgg", "vgg:VGG", {"column": "A-LRN"}),
    Network("vgg_b", "vgg", "vgg:VGG", {"column": "B"}, _VGG_START),
    Network("vgg_c", "vgg", "vgg:VGG", {"column": "C"}, _VGG_START),
    Network("vgg_d", "vgg", "vgg:VGG", {"column": "D"}, _VGG_START),
    Network("vgg_e", "vgg", "vgg:VGG", {"column": "E"}, _VGG_START),
    Network(
        "vgg_a_32px",
        "vgg",
        "vgg:VGG32px",
        {"column": "A"},
        (
            "Head: one fully connected layer on the 1x1 maps behind pool5 takes the place of "
            "FC-4096, FC-4096, FC-1000 and their dropout.",
            "Initialisation: He et al. 2015, N(0, 2 / fan-in), biases 0.",
        ),
    ),
)
_GOOGLENET_SILENT = (
    "Initial values, of which the paper is silent, are those of Caffe's replica: xavier, biases "
    "0.2, and 0 in the last layer.",
    "The normalisations have AlexNet's constants; the paper prints none.",
    "Table 1 prints 2.7K weights for the 7x7 convolution, which has 9.4K; 4c and 5a have the "
    "widths printed, not the counts.",
)
_INCEPTION_WIDTHS = (
    "The widths are the usual lecture's example (cs231n); the paper's figure has none."
)
_GOOGLENET = (
    Network("googlenet", "googlenet", "googlenet:GoogLeNet", departures=_GOOGLENET_SILENT),
    Network(
        "googlenet_aux",
        "googlenet",
        "googlenet:GoogLeNetAux",
        departures=_GOOGLENET_SILENT,
        traced="train",
    ),
    Network(
        "inception_naive",
        "googlenet",
        "googlenet:InceptionNaive",
        departures=(_INCEPTION_WIDTHS,),
        task="features",
    ),
    Network(
        "inception_bottleneck",
        "googlenet",
        "googlenet:InceptionBottleneck",
        departures=(_INCEPTION_WIDTHS,),
        task="features",
    ),
    Network(
        "googlenet_32px",
        "googlenet",
        "googlenet:GoogLeNet32px",
        departures=(
            "Stem: conv1 is 3x3 with stride 1 in place of 7x7 with stride 2, and the two "
            "normalisations are left out, so that inception 3a sees 8x8.",
            "Head: the average is over the 2x2 maps of inception 5b in place of 7x7.",
            "Initialisation: He et al. 2015, N(0, 2 / fan-in), biases 0.",
        ),
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
