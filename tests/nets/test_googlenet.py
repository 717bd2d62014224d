"""GoogLeNet against Szegedy et al. 2015, Table 1, as the ledger has its rows."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from classic_checks import (
    assert_batch_independent,
    assert_gradient_reaches_all,
    assert_matches_ledger,
    assert_normal,
    assert_uniform,
    by_layer,
    cost_by_name,
    dropout_rates,
    on_meta,
)

import convarium

NAMES = ("googlenet", "googlenet_aux", "googlenet_32px", "inception_naive", "inception_bottleneck")
TABLE_1 = convarium.model_facts("googlenet").table1["rows"]
INCEPTIONS = {row[0][-2:]: row[2:] for row in TABLE_1 if row[0].startswith("inception")}
LEAVES = {  # a column of Table 1 to our layer
    "branch1x1.conv": 2,
    "branch3x3.reduce": 3,
    "branch3x3.conv": 4,
    "branch5x5.reduce": 5,
    "branch5x5.conv": 6,
    "branch_pool.proj": 7,
}


def sides(printed: str) -> tuple[int, ...]:
    """ "28x28x256" -> (1, 256, 28, 28)."""
    height, width, maps = map(int, printed.split("x"))
    return (1, maps, height, width)


def inception_params(seen: int, widths: list[int]) -> int:
    n1, r3, n3, r5, n5, proj = widths
    ones = (seen + 1) * (n1 + r3 + r5 + proj)
    return ones + (9 * r3 + 1) * n3 + (25 * r5 + 1) * n5


@pytest.mark.parametrize("name", INCEPTIONS)
def test_widths_are_table_1s(name) -> None:
    net = on_meta("googlenet").get_submodule(f"inception_{name}")
    found = {leaf: net.get_submodule(leaf).out_channels for leaf in LEAVES}
    assert found == {leaf: INCEPTIONS[name][column] for leaf, column in LEAVES.items()}


@pytest.mark.parametrize("name", INCEPTIONS)
def test_output_is_table_1s(name) -> None:
    """An inception's last row is the concatenation."""
    rows = [r for r in cost_by_name("googlenet").rows if r.name.startswith(f"inception_{name}.")]
    assert rows[-1].kind == "cat"
    assert rows[-1].output_shape == sides(INCEPTIONS[name][0])


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("conv1", "112x112x64"),
        ("pool1", "56x56x64"),
        ("conv2", "56x56x192"),
        ("pool2", "28x28x192"),
        ("pool3", "14x14x480"),
        ("pool4", "7x7x832"),
        ("avg_pool", "1x1x1024"),
    ],
)
def test_row_is_table_1s(name, shape) -> None:
    assert by_layer(cost_by_name("googlenet"))[name].output_shape == sides(shape)
    assert shape in {row[2] for row in TABLE_1}


def test_kernels_are_as_the_branches_say() -> None:
    net = on_meta("googlenet").inception_4c
    assert net.branch5x5.conv.kernel_size == (5, 5)
    assert net.branch3x3.conv.kernel_size == (3, 3)
    assert (net.branch_pool.pool.kernel_size, net.branch_pool.pool.stride) == (3, 1)


def test_parameters_follow_from_table_1() -> None:
    total = 64 * (147 + 1) + 64 * (64 + 1) + 192 * (9 * 64 + 1) + 1000 * 1025
    seen = 192
    for shape, _, *widths in (row[:8] for row in INCEPTIONS.values()):
        total += inception_params(seen, widths)
        seen = sides(shape)[1]
    assert total == 6_998_552
    aux = sum((maps + 1) * 128 + 2049 * 1024 + 1025 * 1000 for maps in (512, 528))
    assert total + aux == 13_378_280
    assert total - 64 * (147 - 27) - 1025 * 990 == cost_by_name("googlenet_32px").params


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_the_ledgers(name) -> None:
    assert_matches_ledger(name)


@pytest.mark.parametrize(
    ("name", "widths", "macs_a_place"),
    [
        ("inception_naive", 128 + 192 + 96 + 256, 256 * (128 + 9 * 192 + 25 * 96)),
        (
            "inception_bottleneck",
            128 + 192 + 96 + 64,
            256 * (128 + 64 + 64 + 64) + 9 * 64 * 192 + 25 * 64 * 96,
        ),
    ],
)
def test_lecture_modules(name, widths, macs_a_place) -> None:
    report = cost_by_name(name)
    assert report.rows[-1].output_shape == (1, widths, 28, 28)
    assert report.macs == macs_a_place * 28 * 28


def test_receptive_field_follows_from_kernels_and_strides() -> None:
    rows = {r.name: r for r in cost_by_name("googlenet").rows}
    stem = 7 + 2 * 2 + 2 * 4 + 2 * 4  # conv1, pool1, conv2, pool2: the field is 27, the step 8
    assert rows["stem.pool2"].receptive_field == stem
    assert rows["inception_3a.branch5x5.conv"].receptive_field == stem + 4 * 8


def classified(net, x: torch.Tensor, *, stem) -> torch.Tensor:
    """The inceptions and the head of `net`, in plain functions and Table 1's order."""
    w = net.state_dict()

    def conv(x, name, padding=0):
        return F.relu(F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], padding=padding))

    def half(x):  # 3x3/2, rounded up: the window that hangs over sees what there is
        return F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2)

    y = stem(x, conv, half)
    for name in INCEPTIONS:
        at = f"inception_{name}.branch"
        pooled = F.max_pool2d(F.pad(y, (1, 1, 1, 1), value=-torch.inf), 3, 1)
        branches = (
            conv(y, f"{at}1x1.conv"),
            conv(conv(y, f"{at}3x3.reduce"), f"{at}3x3.conv", 1),
            conv(conv(y, f"{at}5x5.reduce"), f"{at}5x5.conv", 2),
            conv(pooled, f"{at}_pool.proj"),
        )
        y = torch.cat(branches, dim=1)
        y = half(y) if name in ("3b", "4e") else y
    return F.linear(y.mean((2, 3)), w["linear.weight"], w["linear.bias"])


def normalised(x: torch.Tensor) -> torch.Tensor:
    n = x.shape[1]
    near = [x[:, max(0, i - 2) : min(n, i + 3)].square().sum(1) for i in range(n)]
    return x / (2 + 1e-4 * torch.stack(near, dim=1)) ** 0.75


def papers_stem(net):
    def stem(x, conv, half):
        w = net.state_dict()
        y = F.conv2d(x, w["stem.conv1.weight"], w["stem.conv1.bias"], stride=2, padding=3)
        y = normalised(half(F.relu(y)))
        return half(normalised(conv(conv(y, "stem.conv2_reduce"), "stem.conv2", 1)))

    return stem


def small_stem(x, conv, half):
    y = half(conv(x, "stem.conv1", 1))
    return half(conv(conv(y, "stem.conv2_reduce"), "stem.conv2", 1))


def test_forward_is_plain_torchs() -> None:
    net = convarium.create_model("googlenet", num_classes=7).eval()
    x = torch.randn(1, 3, 224, 224) * 50  # of the size of pixels less their mean
    with torch.no_grad():
        want = classified(net, x, stem=papers_stem(net))
        torch.testing.assert_close(net(x), want, rtol=1e-4, atol=1e-4)


def test_forward_for_32px_is_plain_torchs() -> None:
    net = convarium.create_model("googlenet_32px", in_channels=1).eval()
    x = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(
            net(x), classified(net, x, stem=small_stem), rtol=1e-4, atol=1e-4
        )


def test_auxiliary_heads_run_in_train_mode_only() -> None:
    net = on_meta("googlenet_aux", num_classes=7)
    x = torch.empty(2, 3, 224, 224, device="meta")
    assert [tuple(out.shape) for out in net(x)] == [(2, 7)] * 3
    assert net.eval()(x).shape == (2, 7)
    in_eval = convarium.measure_cost(net, (3, 224, 224))
    assert not [row for row in in_eval.rows if row.name.startswith("aux")]


@pytest.mark.parametrize(("head", "maps"), [("aux1", 512), ("aux2", 528)])
def test_auxiliary_head_is_section_5s(head, maps) -> None:
    rows = {r.name: r for r in cost_by_name("googlenet_aux").rows}
    assert rows[f"{head}.avg_pool"].output_shape == (1, maps, 4, 4)
    assert rows[f"{head}.conv"].macs == maps * 128 * 16
    assert rows[f"{head}.fc"].params == (128 * 4 * 4 + 1) * 1024


def test_main_classifier_is_googlenets() -> None:
    net = convarium.create_model("googlenet_aux", num_classes=3).eval()
    plain = convarium.create_model("googlenet", num_classes=3).eval()
    missing, unexpected = plain.load_state_dict(net.state_dict(), strict=False)
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(net(x), plain(x))
    assert not missing
    assert {key.split(".")[0] for key in unexpected} == {"aux1", "aux2"}


def test_dropout_rates() -> None:
    assert dropout_rates(on_meta("googlenet_aux")) == {
        "dropout": 0.4,
        "aux1.dropout": 0.7,
        "aux2.dropout": 0.7,
    }


def test_first_values_are_the_caffe_replicas() -> None:
    net = convarium.create_model("googlenet_aux")
    for path, p in net.named_parameters():
        if path.endswith("weight"):
            assert_uniform(p, (3 / p[0].numel()) ** 0.5)
        else:
            last = path.split(".")[-2] == "linear"
            torch.testing.assert_close(p, torch.full_like(p, 0.0 if last else 0.2))


def test_first_values_for_32px_are_hes() -> None:
    for path, p in convarium.create_model("googlenet_32px").named_parameters():
        if path.endswith("weight"):
            assert_normal(p, (2 / p[0].numel()) ** 0.5)
        else:
            assert not p.any()


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_all(name) -> None:
    size = convarium.model_facts(name).input
    assert_gradient_reaches_all(on_meta(name), torch.empty(2, *size, device="meta"))


def test_behaviour_for_32px() -> None:
    net = convarium.create_model("googlenet_32px", in_channels=1, num_classes=4)
    x = torch.randn(3, 1, 32, 32)
    assert_gradient_reaches_all(net, x)
    assert_batch_independent(net, x)


@pytest.mark.parametrize("name", ["inception_naive", "inception_bottleneck"])
def test_behaviour_of_modules(name) -> None:
    net = convarium.create_model(name, in_channels=8)
    x = torch.randn(2, 8, 6, 6)
    assert_batch_independent(net, x)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("googlenet", (1, 3, 256, 256), "reaches linear as 2x2, its weights need 1x1. Resize to"),
        ("googlenet", (1, 3, 192, 192), "too small; the least is 223x223"),
        ("googlenet_32px", (1, 3, 8, 8), "too small; the least is"),
        ("inception_naive", (1, 3, 28, 28), "takes images"),
    ],
)
def test_impossible_pictures_are_refused(name, shape, message) -> None:
    with pytest.raises(convarium.ConvariumError, match=message):
        on_meta(name)(torch.empty(shape, device="meta"))


@pytest.mark.parametrize(("name", "least"), [("googlenet", 223), ("googlenet_32px", 16)])
def test_the_least_picture_is_taken(name, least) -> None:
    net = on_meta(name, num_classes=2).eval()
    assert net(torch.empty(1, 3, least, least, device="meta")).shape == (1, 2)
    with pytest.raises(convarium.ConvariumError, match=f"the least is {least}x{least}"):
        net(torch.empty(1, 3, least - 1, least - 1, device="meta"))
