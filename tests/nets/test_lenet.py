"""LeNet-5 against LeCun et al. 1998, section II.B; Caffe's LeNet against its prototxt."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from classic_checks import (
    assert_batch_independent,
    assert_gradient_reaches_all,
    assert_matches_ledger,
    assert_uniform,
    by_layer,
    cost_by_name,
    layer_table,
    on_meta,
)

import convarium
from convarium.nets import lenet

# Section II.B: row, maps, side, trainable parameters, connections (bias included), MACs: the
# multiply-adds of what the paper calls convolution or full connection.
ROWS = (
    ("c1", 6, 28, 156, 122_304, 6 * 28 * 28 * 25),
    ("s2", 6, 14, 12, 5_880, 0),
    ("c3", 16, 10, 1_516, 151_600, 150_000),
    ("s4", 16, 5, 32, 2_000, 0),
    ("c5", 120, 1, 48_120, 48_120, 48_000),
    ("f6", 84, None, 10_164, 10_164, 84 * 120),
    ("out", 10, None, 0, 840, 0),
)
# Table I, its columns 0 to 15 from left to right, crosses from top to bottom.
CROSSES = {
    0: (0, 4, 5, 6, 9, 10, 11, 12, 14, 15),
    1: (0, 1, 5, 6, 7, 10, 11, 12, 13, 15),
    2: (0, 1, 2, 6, 7, 8, 11, 13, 14, 15),
    3: (1, 2, 3, 6, 7, 8, 9, 12, 14, 15),
    4: (2, 3, 4, 7, 8, 9, 10, 12, 13, 15),
    5: (3, 4, 5, 8, 9, 10, 11, 13, 14, 15),
}


@pytest.fixture
def net() -> lenet.LeNet5:
    return convarium.create_model("lenet5")


@pytest.mark.parametrize("printed", ROWS, ids=lambda row: row[0])
def test_row_is_the_papers(printed) -> None:
    name, maps, side, params, _, macs = printed
    row = by_layer(cost_by_name("lenet5"))[name]
    shape = (1, maps) if side is None else (1, maps, side, side)
    assert (row.output_shape, row.params, row.macs) == (shape, params, macs)


@pytest.mark.parametrize("printed", ROWS, ids=lambda row: row[0])
def test_connections_follow_from_the_parameters(printed) -> None:
    name, maps, side, params, connections, _ = printed
    each_place = (side or 1) ** 2
    if name in ("s2", "s4"):
        assert connections == maps * each_place * (4 + 1)  # four inputs and a bias a unit
    elif name == "out":
        assert connections == 10 * 84
    else:
        assert connections == params * each_place  # every weight and bias once a place


def test_totals_are_the_papers() -> None:
    assert sum(row[3] for row in ROWS) == 60_000
    assert sum(row[4] for row in ROWS) == 340_908
    assert_matches_ledger("lenet5")


def test_c5_sees_the_whole_picture() -> None:
    assert by_layer(cost_by_name("lenet5"))["c5"].receptive_field == 5 + 1 + 4 * 2 + 2 + 4 * 4


def test_c3_is_stored_as_its_60_links(net) -> None:
    links = {(int(s), m) for s, m in zip(net.c3.sources, _maps_of_links(), strict=True)}
    assert tuple(net.c3.weight.shape) == (60, 1, 5, 5)
    assert links == {(source, m) for source, maps in CROSSES.items() for m in maps}


def test_output_is_numpys(net) -> None:
    net = net.double()
    x = torch.randn(2, 1, 32, 32, dtype=torch.float64)
    got = net(x).detach().numpy()
    want = np.stack([_forward_in_numpy(net.state_dict(), picture) for picture in x.numpy()])
    np.testing.assert_allclose(got, want, rtol=1e-10)


def _maps_of_links() -> list[int]:
    return [m for m in range(16) for maps in CROSSES.values() if m in maps]


def _forward_in_numpy(state, picture) -> np.ndarray:
    w = {key: value.numpy() for key, value in state.items()}

    def squash(a):
        return 1.7159 * np.tanh(2 * a / 3)

    def correlate(maps, kernel):  # (H, W), (k, k)
        windows = np.lib.stride_tricks.sliding_window_view(maps, kernel.shape)
        return (windows * kernel).sum((2, 3))

    def subsample(maps, name):
        total = maps[:, ::2, ::2] + maps[:, 1::2, ::2] + maps[:, ::2, 1::2] + maps[:, 1::2, 1::2]
        return squash(
            total * w[f"{name}.coefficient"][:, None, None] + w[f"{name}.bias"][:, None, None]
        )

    def full(maps, name):
        pairs = zip(w[f"{name}.weight"], w[f"{name}.bias"], strict=True)
        return squash(
            np.stack(
                [sum(correlate(m, k) for m, k in zip(maps, ks, strict=True)) + b for ks, b in pairs]
            )
        )

    x = subsample(full(picture, "c1"), "s2")
    c3 = np.zeros((16, 10, 10)) + w["c3.bias"][:, None, None]
    kernels = iter(w["c3.weight"])
    for m in range(16):
        for source in sorted(CROSSES):
            if m in CROSSES[source]:
                c3[m] += correlate(x[source], next(kernels)[0])
    x = full(subsample(squash(c3), "s4"), "c5")
    x = squash(w["f6.weight"] @ x[:, 0, 0] + w["f6.bias"])
    return -((x - w["out.centres"]) ** 2).sum(1)


def test_first_values_are_appendix_a(net) -> None:
    assert_uniform(net.c5.weight, 2.4 / 400)
    assert_uniform(net.f6.weight, 2.4 / 120)
    assert_uniform(net.c1.weight, 2.4 / 25)
    assert_uniform(net.s4.coefficient, 2.4 / 4)


@pytest.mark.parametrize(("links", "start", "stop"), [(3, 0, 18), (4, 18, 54), (6, 54, 60)])
def test_fan_in_of_c3_is_that_of_the_map(net, links, start, stop) -> None:
    assert_uniform(net.c3.weight[start:stop], 2.4 / (25 * links))


def test_squash_keeps_one() -> None:
    assert lenet.Squash()(torch.tensor([1.0, -1.0])).tolist() == pytest.approx([1, -1], abs=1e-4)


def test_centres_are_fixed_bitmaps(net) -> None:
    bitmaps = net.out.centres.reshape(10, 12, 7)
    assert set(bitmaps.unique().tolist()) == {-1.0, 1.0}
    assert "out.centres" not in dict(net.named_parameters())
    assert bitmaps[1, :, 3].eq(1).sum() == 10  # the stroke of the one: ten rows high, two wide
    assert bitmaps[:, 10:].eq(-1).all()  # digits have no descenders


@pytest.mark.parametrize("classes", [2, 10, 47, 1000])
def test_centres_stay_apart_for_any_number_of_classes(classes) -> None:
    codes = lenet.centres(classes)
    different = (84 - codes @ codes.T) / 2 + 84 * torch.eye(classes)
    assert codes.shape == (classes, 84)
    assert different.min() >= 5  # bits; the digits' bitmaps themselves are 11 bits apart or more
    assert torch.equal(codes[: min(classes, 10)], lenet.centres(10)[:classes])


def test_the_nearest_centre_is_likeliest(net) -> None:
    assert torch.equal(net.out(net.out.centres).argmax(1), torch.arange(10))
    assert net.out(net.out.centres).max().item() == 0.0


@pytest.mark.parametrize("name", ["lenet5", "lenet_caffe"])
def test_behaviour(name) -> None:
    side = convarium.model_facts(name).input[1]
    model = convarium.create_model(name, num_classes=12, in_channels=3)
    x = torch.randn(3, 3, side, side)
    assert_gradient_reaches_all(model, x)
    assert_batch_independent(model, x)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("lenet5", (1, 1, 28, 28), "28x28 input is too small; the least is 32x32"),
        ("lenet5", (1, 1, 40, 40), "reaches F6 as 3x3, its weights need 1x1. Resize to 32x32"),
        ("lenet5", (1, 3, 32, 32), "takes images"),
        ("lenet_caffe", (1, 1, 32, 32), "reaches ip1 as 5x5, its weights need 4x4"),
        ("lenet_caffe", (1, 1, 13, 13), "too small; the least is 14x14"),
    ],
)
def test_impossible_pictures_are_refused(name, shape, message) -> None:
    with pytest.raises(convarium.ConvariumError, match=message):
        on_meta(name)(torch.empty(shape, device="meta"))


def test_caffes_lenet_is_its_prototxt(shared_data) -> None:
    rows = by_layer(cost_by_name("lenet_caffe"))
    for layer in layer_table(shared_data, "lenet-caffe")[:-1]:  # the last is the softmax
        row = rows[layer["name"]]
        shape = tuple(layer["out_shape"])
        assert (row.output_shape[1:], row.params, row.macs) == (
            shape,
            layer["params"],
            layer["macs"],
        )


def test_caffes_lenet_counts() -> None:
    assert 20 * 26 + 50 * 501 + 500 * 801 + 10 * 501 == 431_080
    macs = 24 * 24 * 20 * 25 + 8 * 8 * 50 * 500 + 800 * 500 + 500 * 10
    assert macs == 2_293_000
    assert_matches_ledger("lenet_caffe")


def test_caffes_lenet_starts_from_xavier() -> None:
    model = convarium.create_model("lenet_caffe")
    assert_uniform(model.classifier.ip1.weight, (3 / 800) ** 0.5)
    assert_uniform(model.features.conv2.weight, (3 / 500) ** 0.5)
    assert not model.classifier.ip1.bias.any()


def test_caffes_lenet_has_one_relu_behind_ip1() -> None:
    model = convarium.create_model("lenet_caffe").eval()
    w = model.state_dict()
    x = torch.randn(2, 1, 28, 28)
    y = torch.nn.functional.conv2d(x, w["features.conv1.weight"], w["features.conv1.bias"])
    y = y.unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5))
    y = torch.nn.functional.conv2d(y, w["features.conv2.weight"], w["features.conv2.bias"])
    y = y.unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5)).reshape(2, 800)
    y = (y @ w["classifier.ip1.weight"].T + w["classifier.ip1.bias"]).clamp(min=0)
    y = y @ w["classifier.ip2.weight"].T + w["classifier.ip2.bias"]
    torch.testing.assert_close(model(x), y)
