"""ResNet, Table 1: five columns, their plain twins, and three options of shortcuts."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import convarium
from convarium.errors import InputError, UsageError
from convarium.nets.resnet import TABLE_1, ResNet, ResNetV15
from nets import residual_proofs as proofs

NAMES = [
    *("plain18", "plain34", "resnet18_a", "resnet18_b", "resnet18_c"),
    *("resnet34_a", "resnet34_b", "resnet34_c", "resnet50", "resnet101", "resnet152"),
    *("resnet50_v1_5", "resnet101_v1_5", "resnet152_v1_5"),
]
SIDES = {"conv1": 112, "pool1": 56, "conv2_x": 56, "conv3_x": 28, "conv4_x": 14, "conv5_x": 7}
BASIC = dict(zip(SIDES, (64, 64, 64, 128, 256, 512), strict=True))
BOTTLENECK = dict(zip(SIDES, (64, 64, 256, 512, 1024, 2048), strict=True))
GFLOPS = {"plain18": 1.8, "plain34": 3.6, "resnet50": 3.8, "resnet101": 7.6, "resnet152": 11.3}


def params(depth: int, option: str, channels: int, classes: int) -> int:
    """Closed form of Table 1: convolutions, two values of batch norm per filter, fc."""
    total, before = 49 * channels * 64 + 128, 64
    for inner, repeat in zip((64, 128, 256, 512), TABLE_1[depth], strict=True):
        width = inner if depth < 50 else 4 * inner
        for i in range(repeat):
            if depth < 50:
                total += 9 * before * inner + 9 * inner * inner + 4 * inner
            else:
                total += before * inner + 9 * inner**2 + inner * width + 4 * inner + 2 * width
            changes = before != width or (i == 0 and inner > 64)
            if option == "C" or (option == "B" and changes):
                total += before * width + 2 * width
            before = width
    return total + before * classes + classes


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_the_ledgers(name: str) -> None:
    assert proofs.counts(name) == proofs.ledger(name)


@pytest.mark.parametrize(("name", "printed"), GFLOPS.items())
def test_macs_round_to_table_1(name: str, printed: float) -> None:
    # 50 layers: 3.858e9 is printed as 3.8e9, cut off and not rounded.
    assert printed - 0.05 <= proofs.cost(name).macs / 1e9 < printed + 0.1


@pytest.mark.parametrize("name", ["plain18", "resnet34_a", "resnet50", "resnet50_v1_5"])
@pytest.mark.parametrize("layer", SIDES)
def test_shape_of_each_row_of_table_1(name: str, layer: str) -> None:
    width = (BOTTLENECK if "50" in name else BASIC)[layer]
    assert proofs.output_of(name, layer) == (width, SIDES[layer], SIDES[layer])


@pytest.mark.parametrize("depth", TABLE_1)
def test_column_has_its_depth(depth: int) -> None:
    # conv1, two or three convolutions a block, fc: section 3.3 counts the projections apart.
    assert 2 + sum(TABLE_1[depth]) * (2 if depth < 50 else 3) == depth


@given(
    depth=st.sampled_from([18, 34, 50]),
    option=st.sampled_from(["none", "A", "B", "C"]),
    channels=st.integers(1, 5),
    classes=st.integers(1, 2000),
)
@settings(max_examples=12, deadline=None)
def test_parameters_have_a_closed_form(depth, option, channels, classes) -> None:
    with torch.device("meta"):
        net = ResNet(depth, option, in_channels=channels, num_classes=classes)
    assert proofs.params_of(net) == params(depth, option, channels, classes)


def test_receptive_field_of_50_layers() -> None:
    # 7x7/2 sees 7 and the pool 11 at step 4; then 3x3 at the steps 4, 8, 16 and 32 of v1.
    side = 11 + 2 * (3 * 4 + 4 * 8 + 6 * 16 + 3 * 32)
    rows = {row.name: row for row in proofs.cost("resnet50").rows}
    assert rows["conv5_x.conv5_3.conv3"].receptive_field == side == 483


@pytest.mark.data
def test_resnet50_is_the_authors_table(shared_data: Path) -> None:
    table = json.loads((shared_data / "layer-tables" / "resnet50-author.json").read_text("utf-8"))
    theirs = [layer for layer in table["layers"] if layer["macs"]]
    ours = [row for row in proofs.cost("resnet50").rows if row.macs]
    assert _main_path(ours, lambda r: "shortcut" in r.name) == [
        # conv1 alone has a bias there; batch norm undoes it.
        (tuple(r["out_shape"]), r["params"] - 64 * (r["name"] == "conv1"), r["macs"])
        for r in theirs
        if "branch1" not in r["name"]
    ]
    assert Counter((row.params, row.macs) for row in ours if "shortcut" in row.name) == Counter(
        (row["params"], row["macs"]) for row in theirs if "branch1" in row["name"]
    )


@pytest.mark.data
def test_option_a_counts_as_darknets_resnet18(shared_data: Path) -> None:
    # Its shortcuts have no weights either; 256 pixels a side.
    table = json.loads((shared_data / "layer-tables" / "darknet-resnet18.json").read_text("utf-8"))
    ours = convarium.measure_cost("resnet18_a", (3, 256, 256))
    assert (ours.params, ours.macs) == (table["totals"]["params"], table["totals"]["macs"])


def _main_path(rows, skip) -> list[tuple[tuple[int, ...], int, int]]:
    return [(row.output_shape[1:], row.params, row.macs) for row in rows if not skip(row)]


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_equals_torchvision_with_its_weights(name: str) -> None:
    models = pytest.importorskip("torchvision.models")
    peer = proofs.shaken(getattr(models, name)(weights=None)).double().eval()
    ours = convarium.create_model("resnet50_v1_5" if name == "resnet50" else name).double().eval()
    proofs.carry_by_order(peer.state_dict(), ours)
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(ours(x), peer(x), rtol=1e-10, atol=1e-10)


def test_v1_and_v1_5_differ_in_one_stride() -> None:
    first, second = (proofs.on_meta(n) for n in ("resnet50", "resnet50_v1_5"))
    assert list(first.state_dict()) == list(second.state_dict())
    strides = [
        [net.get_submodule(f"conv3_x.conv3_1.conv{i}").stride[0] for i in (1, 2)]
        for net in (first, second)
    ]
    assert strides == [[2, 1], [1, 2]]


def test_option_a_is_every_second_pixel_between_zeros() -> None:
    block = proofs.on_meta("resnet18_a").get_submodule("conv3_x.conv3_1")
    x = torch.arange(2 * 64 * 4 * 4, dtype=torch.float64).reshape(2, 64, 4, 4)
    expected = torch.zeros(2, 128, 2, 2, dtype=torch.float64)
    for row in range(2):
        for column in range(2):
            expected[:, 32:96, row, column] = x[:, :, 2 * row, 2 * column]
    assert torch.equal(block.shortcut(x), expected)


def test_starts_as_he() -> None:
    proofs.assert_starts_as_he(convarium.create_model("resnet18_b"))


@pytest.mark.parametrize("option", ["none", "A", "B", "C"])
def test_gradient_reaches_every_parameter(option: str) -> None:
    model = ResNet(18, option, num_classes=5)
    proofs.assert_gradient_reaches_all(model, torch.randn(4, 3, 48, 48))


def test_gradient_reaches_every_parameter_of_bottlenecks() -> None:
    model = ResNetV15(50, num_classes=5)
    proofs.assert_gradient_reaches_all(model, torch.randn(4, 3, 48, 48))


@pytest.mark.parametrize("option", ["none", "A"])
def test_eval_ignores_the_batch(option: str) -> None:
    proofs.assert_eval_ignores_batch(ResNet(18, option), torch.randn(2, 3, 33, 47))


def test_1x1_projection_is_a_convolution_and_batch_norm() -> None:
    block = ResNet(18, "B").eval().get_submodule("conv3_x.conv3_1")
    x = torch.randn(1, 64, 6, 6)
    expected = F.conv2d(x[:, :, ::2, ::2], block.shortcut[0].weight) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(block.shortcut(x), expected, rtol=1e-5, atol=1e-5)


def test_impossible_calls_are_refused() -> None:
    with pytest.raises(UsageError, match="'51'"):
        ResNet(51)
    with pytest.raises(UsageError, match="shortcut must be none, A, B or C, not 'D'"):
        ResNet(18, "D")
    with pytest.raises(InputError, match="ResNet takes images"):
        ResNet(18)(torch.randn(3, 64, 64))
