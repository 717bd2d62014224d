"""The rows against numbers that the papers print: layer by layer, and the depth in the name."""

from __future__ import annotations

import pytest

from convarium.facts import LayerRow, layer_rows, model_facts

# SqueezeNet, table 1, "#parameter before pruning".
SQUEEZENET_TABLE_1 = {
    "conv1": 14_208,
    "fire2": 11_920,
    "fire3": 12_432,
    "fire4": 45_344,
    "fire5": 49_440,
    "fire6": 104_880,
    "fire7": 111_024,
    "fire8": 188_992,
    "fire9": 197_184,
    "conv10": 513_000,
}
# LeNet-5, section II.B: trainable parameters of each layer.
LENET_5 = {"C1": 156, "S2": 12, "C3": 1_516, "S4": 32, "C5": 48_120, "F6": 10_164, "OUTPUT": 0}
# LeNet-5, section II.B: connections = multiply-adds and one for the bias of each output; a
# sub-sampling unit has five (four inputs and a bias). C3's are printed as 151,600.
LENET_5_CONNECTIONS = {"C1": 122_304, "C3": 151_600, "C5": 48_120, "F6": 10_164}
# MobileNet, table 2: shares of the multiply-adds in percent. The row of the 3x3 convolution is
# left out: its printed 1.19 is 1.91 with the digits swapped, as the column's sum shows.
MOBILENET_TABLE_2 = {"pw": 94.86, "dw": 3.06, "fc": 0.18}
# MobileNet, table 1, column "Input Size", rows with weights: side x maps. The last depthwise row
# is printed with stride 2 and the row behind it with 7x7: only stride 1 keeps that.
MOBILENET_TABLE_1 = """
    224x3 112x32 112x32 112x64 56x64 56x128 56x128 56x128 28x128 28x256 28x256 28x256 14x256
    14x512 14x512 14x512 14x512 14x512 14x512 14x512 14x512 14x512 14x512
    14x512 7x512 7x1024 7x1024 1x1024
    """
# YOLOv3, table 1, column "Output" behind each strided convolution and its residual stage.
DARKNET_53 = {"residual1_1": 128, "residual2_2": 64, "residual3_8": 32, "residual4_8": 16}
DARKNET_53 |= {"residual5_4": 8}
# ResNeXt, table 1: 32x4d at conv2, twice as wide with each stage.
RESNEXT_50 = {"conv2": (128, 256), "conv3": (256, 512), "conv4": (512, 1024), "conv5": (1024, 2048)}
# Layers with weights on the longest path, by the network's name or the paper's words.
DEPTHS = {
    "vgg_a": 11,
    "vgg_b": 13,
    "vgg_c": 16,
    "vgg_d": 16,
    "vgg_e": 19,
    "alexnet_2gpu": 8,
    "zfnet": 8,
    "googlenet": 22,
    "plain34": 34,
    "resnet18_b": 18,
    "resnet34_c": 34,
    "resnet50": 50,
    "resnet101_v1_5": 101,
    "resnet152": 152,
    "resnet1202_cifar": 1202,
    "plain56_cifar": 56,
    "preact_resnet110": 110,
    "preact_resnet164": 164,
    "preact_resnet1001": 1001,
    "preact_resnet200": 200,
    "resnext29_8x64d_cifar": 29,
    "resnext101_64x4d": 101,
    "stochastic_depth_152_svhn": 152,
    "wrn_28_10": 26,  # the paper's 6n + 4 counts two shortcut convolutions: 6n + 2 in a row
    "wrn_50_2_bottleneck": 50,
    "densenet121": 121,
    "densenet161": 161,
    "densenet169": 169,
    "densenet201": 201,
    "densenet264": 265,  # 265 by the rule that gives 121, 169 and 201
    "densenet_40_12_cifar": 40,
    "densenet_bc_100_12_cifar": 100,
    "densenet_bc_250_24_cifar": 250,
    "densenet_bc_190_40_cifar": 190,
    "fractalnet20_c3_cifar": 21,  # 20 and the classifier
    "fractalnet_thin_c6": 161,  # 160 and the classifier
    "fractalnet34_c4_imagenet": 34,
    "mobilenet_v1_100_224": 28,
    "darknet19": 19,
    "darknet53": 53,
}


@pytest.mark.parametrize(("name", "depth"), DEPTHS.items())
def test_depth(name: str, depth: int) -> None:
    deepest = {"input": 0}
    for row in layer_rows(name):
        weighted = row.kind in ("conv", "linear")
        deepest[row.name] = weighted + max(deepest[source] for source in row.inputs)
    assert max(deepest.values()) == depth


def test_lenet5_parameters_and_connections() -> None:
    rows = {row.name: row for row in layer_rows("lenet5")}
    assert {name: row.params for name, row in rows.items()} == LENET_5
    for name, connections in LENET_5_CONNECTIONS.items():
        units = 1
        for side in rows[name].output:
            units *= side
        assert rows[name].macs + units == connections


def test_squeezenet_table_1() -> None:
    params = dict.fromkeys(SQUEEZENET_TABLE_1, 0)
    for row in layer_rows("squeezenet1_0"):
        if row.params:
            params[row.name.split("/")[0]] += row.params
    assert params == SQUEEZENET_TABLE_1


def test_googlenet_table_1() -> None:
    """Widths by column and output sizes, as the ledger has them (read from the paper)."""
    printed = model_facts("googlenet").table1
    assert printed is not None
    rows = {row.name: row for row in layer_rows("googlenet")}
    columns = ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")
    modules = [row for row in printed["rows"] if row[0].startswith("inception")]
    assert len(modules) == 9
    for module in modules:
        name = module[0].replace(" ", "_")
        assert [rows[f"{name}/{column}"].output[0] for column in columns] == module[4:10]
        assert _size(rows[f"{name}/output"]) == module[2]
    others = ["conv1", "pool1", "conv2", "pool2", "pool3", "pool4", "pool5"]
    sizes = [row[2] for row in printed["rows"] if row not in modules]
    assert [_size(rows[name]) for name in others] == sizes[:7]


def test_mobilenet_table_2() -> None:
    rows = layer_rows("mobilenet_v1_100_224")
    total = sum(row.macs for row in rows)
    for kind, share in MOBILENET_TABLE_2.items():
        macs = sum(row.macs for row in rows if row.name.split("/")[-1] == kind)
        assert round(100 * macs / total, 2) == share


def test_mobilenet_table_1() -> None:
    rows = [row for row in layer_rows("mobilenet_v1_100_224") if row.kind in ("conv", "linear")]
    assert [f"{row.input[-1]}x{row.input[0]}" for row in rows] == MOBILENET_TABLE_1.split()


def test_darknet_53_table_1() -> None:
    sides = {row.name.split("/")[0]: row.output[-1] for row in layer_rows("darknet53")}
    assert {name: sides[name] for name in DARKNET_53} == DARKNET_53
    kernels = [row.kernel for row in layer_rows("darknet53") if row.kind == "conv"]
    assert (kernels.count(3), kernels.count(1)) == (29, 23)


def test_resnext_50_table_1() -> None:
    rows = {row.name: row for row in layer_rows("resnext50_32x4d")}
    for stage, (width, out) in RESNEXT_50.items():
        grouped = rows[f"{stage}_3/conv2"]
        assert (grouped.output[0], grouped.groups) == (width, 32)
        assert rows[f"{stage}_3/add"].output[0] == out


def test_alexnet_sizes() -> None:
    """Figure 2: kernels a tower and the maps they see."""
    rows = {row.name: row for row in layer_rows("alexnet_2gpu")}
    seen = {name: row.input[0] // row.groups for name, row in rows.items() if row.kind == "conv"}
    assert seen == {"conv1": 3, "conv2": 48, "conv3": 256, "conv4": 192, "conv5": 192}
    assert rows["pool5"].output == (256, 6, 6)


def test_densenet_maps() -> None:
    """k0 + k * (layers), halved by each transition: 64+6*32, 128+12*32, 256+24*32, 512+16*32."""
    rows = {row.name: row for row in layer_rows("densenet121")}
    ends = ("block1_6", "block2_12", "block3_24", "block4_16")
    assert [rows[f"{end}/concat"].output[0] for end in ends] == [256, 512, 1024, 1024]


def test_fractal_joins() -> None:
    """Section 3: the last join of a block takes all its columns, an inner one those that end."""
    rows = layer_rows("fractalnet_thin_c4")
    joins = [
        len(row.inputs) for row in rows if row.name.startswith("block1") and "join" in row.name
    ]
    assert joins == [2, 3, 2, 4]


def _size(row: LayerRow) -> str:
    """As table 1 prints it: height x width x maps."""
    channels, height, width = row.output
    return f"{height}x{width}x{channels}"
