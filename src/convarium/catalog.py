"""What is built: one row a network. Modules are named as strings, so listing imports nothing heavy.

A row is a name, its builder as "module:callable" in `convarium.nets`, and the builder's keyword
arguments beside `in_channels` and `num_classes`. Two words say more: `task=features` gives a
feature map, and `traced=train` marks heads that run in training only, so that counts by name are
of a forward pass in train mode. How a network departs from its paper stands in `departures.py`.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from convarium.departures import departures_of
from convarium.errors import UsageError, unknown_name


@dataclass(frozen=True, slots=True)
class Network:
    """One row of the catalog.

    `traced` is the mode whose forward pass holds the whole network, "eval" or "train".
    """

    name: str
    family: str
    builder: str
    options: dict[str, Any] = field(default_factory=dict, hash=False)
    task: str = "classification"
    traced: str = "eval"

    @property
    def departures(self) -> tuple[str, ...]:
        """How the network differs from its paper, a sentence each; looked up when asked."""
        return departures_of(self.name)


_TABLE = """
[lenet]
lenet5       lenet:LeNet5
lenet_caffe  lenet:LeNetCaffe

[alexnet]
alexnet_2gpu       alexnet:AlexNet2GPU
alexnet_ungrouped  alexnet:AlexNet
alexnet_owt        alexnet:AlexNetOWT

[zfnet]
zfnet  zfnet:ZFNet

[nin]
nin_cifar10   nin:NiN  table=cifar-10 num_classes=10
nin_cifar100  nin:NiN  table=cifar-100 num_classes=100
nin_imagenet  nin:NiN  table=imagenet num_classes=1000

[vgg]
vgg_a       vgg:VGG      column=A
vgg_a_lrn   vgg:VGG      column=A-LRN
vgg_b       vgg:VGG      column=B
vgg_c       vgg:VGG      column=C
vgg_d       vgg:VGG      column=D
vgg_e       vgg:VGG      column=E
vgg_a_32px  vgg:VGG32px  column=A

[googlenet]
googlenet             googlenet:GoogLeNet
googlenet_aux         googlenet:GoogLeNetAux         traced=train
inception_naive       googlenet:InceptionNaive       task=features
inception_bottleneck  googlenet:InceptionBottleneck  task=features
googlenet_32px        googlenet:GoogLeNet32px

[resnet]
plain18           resnet:ResNet             depth=18 shortcut=none
plain34           resnet:ResNet             depth=34 shortcut=none
resnet18_a        resnet:ResNet             depth=18 shortcut=A
resnet18_b        resnet:ResNet             depth=18 shortcut=B
resnet18_c        resnet:ResNet             depth=18 shortcut=C
resnet34_a        resnet:ResNet             depth=34 shortcut=A
resnet34_b        resnet:ResNet             depth=34 shortcut=B
resnet34_c        resnet:ResNet             depth=34 shortcut=C
resnet50          resnet:ResNet             depth=50
resnet101         resnet:ResNet             depth=101
resnet152         resnet:ResNet             depth=152
resnet50_v1_5     resnet:ResNetV15          depth=50
resnet101_v1_5    resnet:ResNetV15          depth=101
resnet152_v1_5    resnet:ResNetV15          depth=152
resnet20_cifar    resnet_cifar:ResNetCIFAR  depth=20
resnet32_cifar    resnet_cifar:ResNetCIFAR  depth=32
resnet44_cifar    resnet_cifar:ResNetCIFAR  depth=44
resnet56_cifar    resnet_cifar:ResNetCIFAR  depth=56
resnet110_cifar   resnet_cifar:ResNetCIFAR  depth=110
resnet1202_cifar  resnet_cifar:ResNetCIFAR  depth=1202
plain20_cifar     resnet_cifar:PlainCIFAR   depth=20
plain32_cifar     resnet_cifar:PlainCIFAR   depth=32
plain44_cifar     resnet_cifar:PlainCIFAR   depth=44
plain56_cifar     resnet_cifar:PlainCIFAR   depth=56

[preact_resnet]
preact_resnet110   preact_resnet:PreActResNetCIFAR  depth=110
preact_resnet164   preact_resnet:PreActResNetCIFAR  depth=164
preact_resnet1001  preact_resnet:PreActResNetCIFAR  depth=1001
preact_resnet18    preact_resnet:PreActResNet       depth=18
preact_resnet152   preact_resnet:PreActResNet       depth=152
preact_resnet200   preact_resnet:PreActResNet       depth=200

[wide_resnet]
wrn_40_1              wide_resnet:WideResNet            depth=40 widen=1
wrn_40_2              wide_resnet:WideResNet            depth=40 widen=2
wrn_40_4              wide_resnet:WideResNet            depth=40 widen=4
wrn_16_4              wide_resnet:WideResNet            depth=16 widen=4
wrn_16_8              wide_resnet:WideResNet            depth=16 widen=8
wrn_28_10             wide_resnet:WideResNet            depth=28 widen=10
wrn_40_8              wide_resnet:WideResNet            depth=40 widen=8
wrn_28_12             wide_resnet:WideResNet            depth=28 widen=12
wrn_22_8              wide_resnet:WideResNet            depth=22 widen=8
wrn_50_2_bottleneck   wide_resnet:WideBottleneckResNet  depth=50
wrn_101_2_bottleneck  wide_resnet:WideBottleneckResNet  depth=101

[resnext]
resnext50_32x4d         resnext:ResNeXt       depth=50 cardinality=32 width=4
resnext101_32x4d        resnext:ResNeXt       depth=101 cardinality=32 width=4
resnext101_64x4d        resnext:ResNeXt       depth=101 cardinality=64 width=4
resnext29_8x64d_cifar   resnext:ResNeXtCIFAR  cardinality=8 width=64
resnext29_16x64d_cifar  resnext:ResNeXtCIFAR  cardinality=16 width=64

[stochastic_depth]
stochastic_depth_110           stochastic_depth:StochasticDepthCIFAR     depth=110
stochastic_depth_152_svhn      stochastic_depth:StochasticDepthCIFAR     depth=152
stochastic_depth_1202          stochastic_depth:StochasticDepthCIFAR     depth=1202
stochastic_depth_152_imagenet  stochastic_depth:StochasticDepthImageNet

[fractalnet]
fractalnet20_c3_cifar     fractalnet:FractalNetCIFAR     columns=3 filters=64
fractalnet40_c4_cifar     fractalnet:FractalNetCIFAR     columns=4 filters=32
fractalnet_thin_c1        fractalnet:FractalNetCIFAR     columns=1 filters=16 num_classes=100
fractalnet_thin_c2        fractalnet:FractalNetCIFAR     columns=2 filters=16 num_classes=100
fractalnet_thin_c3        fractalnet:FractalNetCIFAR     columns=3 filters=16 num_classes=100
fractalnet_thin_c4        fractalnet:FractalNetCIFAR     columns=4 filters=16 num_classes=100
fractalnet_thin_c5        fractalnet:FractalNetCIFAR     columns=5 filters=16 num_classes=100
fractalnet_thin_c6        fractalnet:FractalNetCIFAR     columns=6 filters=16 num_classes=100
fractalnet34_c4_imagenet  fractalnet:FractalNetImageNet

[densenet]
densenet121               densenet:DenseNet         depth=121
densenet169               densenet:DenseNet         depth=169
densenet201               densenet:DenseNet         depth=201
densenet264               densenet:DenseNet         depth=264
densenet161               densenet:DenseNet         depth=161
densenet_40_12_cifar      densenet:DenseNetCIFAR    depth=40 growth=12
densenet_100_12_cifar     densenet:DenseNetCIFAR    depth=100 growth=12
densenet_100_24_cifar     densenet:DenseNetCIFAR    depth=100 growth=24
densenet_bc_100_12_cifar  densenet:DenseNetBCCIFAR  depth=100 growth=12
densenet_bc_250_24_cifar  densenet:DenseNetBCCIFAR  depth=250 growth=24
densenet_bc_190_40_cifar  densenet:DenseNetBCCIFAR  depth=190 growth=40

[squeezenet]
squeezenet1_0              squeezenet:SqueezeNet      bypass=none
squeezenet_simple_bypass   squeezenet:SqueezeNet      bypass=simple
squeezenet_complex_bypass  squeezenet:SqueezeNet      bypass=complex
squeezenet1_1              squeezenet:SqueezeNet11
squeezenet_32px            squeezenet:SqueezeNet32px

[mobilenet]
mobilenet_v1_100_224    mobilenet:MobileNetV1          alpha=1.0
mobilenet_v1_100_192    mobilenet:MobileNetV1          alpha=1.0
mobilenet_v1_100_160    mobilenet:MobileNetV1          alpha=1.0
mobilenet_v1_100_128    mobilenet:MobileNetV1          alpha=1.0
mobilenet_v1_075_224    mobilenet:MobileNetV1          alpha=0.75
mobilenet_v1_075_192    mobilenet:MobileNetV1          alpha=0.75
mobilenet_v1_075_160    mobilenet:MobileNetV1          alpha=0.75
mobilenet_v1_075_128    mobilenet:MobileNetV1          alpha=0.75
mobilenet_v1_050_224    mobilenet:MobileNetV1          alpha=0.5
mobilenet_v1_050_192    mobilenet:MobileNetV1          alpha=0.5
mobilenet_v1_050_160    mobilenet:MobileNetV1          alpha=0.5
mobilenet_v1_050_128    mobilenet:MobileNetV1          alpha=0.5
mobilenet_v1_025_224    mobilenet:MobileNetV1          alpha=0.25
mobilenet_v1_025_192    mobilenet:MobileNetV1          alpha=0.25
mobilenet_v1_025_160    mobilenet:MobileNetV1          alpha=0.25
mobilenet_v1_025_128    mobilenet:MobileNetV1          alpha=0.25
mobilenet_v1_full_conv  mobilenet:MobileNetV1FullConv
mobilenet_v1_shallow    mobilenet:MobileNetV1Shallow
mobilenet_v1_050_32px   mobilenet:MobileNetV1_32px     alpha=0.5

[darknet]
darknet19   darknet:Darknet19
darknet53   darknet:Darknet53
extraction  darknet:Extraction
"""


def _rows(table: str) -> dict[str, Network]:
    rows: dict[str, Network] = {}
    family = ""
    for line in filter(None, table.splitlines()):
        if line.startswith("["):
            family = line.strip("[]")
            continue
        name, builder, *words = line.split()
        options = {key: _value(value) for key, value in (word.split("=") for word in words)}
        marks = {key: str(options.pop(key)) for key in ("task", "traced") if key in options}
        rows[name] = Network(name, family, builder, options, **marks)
    return rows


def _value(word: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


CATALOG: dict[str, Network] = _rows(_TABLE)

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
    "yolov3": "yolov3_416",
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
        if key in ALIASES.values():
            raise UsageError(f"{name} is not built in this version; `convarium list` has what is.")
        built = [alias for alias, owner in ALIASES.items() if owner in CATALOG]
        raise unknown_name("network", name, [*CATALOG, *built])
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
