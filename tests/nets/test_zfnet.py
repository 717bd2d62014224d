"""ZFNet against Zeiler & Fergus 2014, figure 3."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from classic_checks import (
    assert_batch_independent,
    assert_gradient_reaches_all,
    assert_matches_ledger,
    assert_normal,
    by_layer,
    cost_by_name,
    dropout_rates,
    on_meta,
)

import convarium
from convarium.nets import zfnet

# Figure 3: what is drawn, maps, side in the output.
FIGURE_3 = (
    ("conv1", 96, 110),
    ("pool1", 96, 55),
    ("conv2", 256, 26),
    ("pool2", 256, 13),
    ("conv3", 384, 13),
    ("conv4", 384, 13),
    ("conv5", 256, 13),
    ("pool5", 256, 6),
)
WEIGHTS = {
    "conv1": 96 * 3 * 7 * 7,
    "conv2": 256 * 96 * 5 * 5,
    "conv3": 384 * 256 * 3 * 3,
    "conv4": 384 * 384 * 3 * 3,
    "conv5": 256 * 384 * 3 * 3,
    "fc6": 4096 * 256 * 6 * 6,
    "fc7": 4096 * 4096,
    "fc8": 1000 * 4096,
}
BIASES = 96 + 256 + 384 + 384 + 256 + 4096 + 4096 + 1000


@pytest.fixture
def net(monkeypatch) -> zfnet.ZFNet:
    """Sixteen hidden neurons in place of 4096, so that it is small."""
    monkeypatch.setattr(zfnet, "HIDDEN", 16)
    return convarium.create_model("zfnet", num_classes=5).eval()


@pytest.mark.parametrize(("name", "maps", "side"), FIGURE_3)
def test_row_is_figure_3s(name, maps, side) -> None:
    assert by_layer(cost_by_name("zfnet"))[name].output_shape == (1, maps, side, side)


@pytest.mark.parametrize("name", WEIGHTS)
def test_macs_are_weights_times_places(name) -> None:
    row = by_layer(cost_by_name("zfnet"))[name]
    places = {n: side**2 for n, _, side in FIGURE_3}.get(name, 1)
    assert row.macs == WEIGHTS[name] * places


def test_totals() -> None:
    assert sum(WEIGHTS.values()) + BIASES == 62_357_608
    assert_matches_ledger("zfnet")


@pytest.mark.parametrize(("name", "field"), [("conv1", 7), ("pool1", 11), ("conv2", 11 + 4 * 4)])
def test_receptive_field_follows_from_kernels_and_strides(name, field) -> None:
    assert by_layer(cost_by_name("zfnet"))[name].receptive_field == field


def test_forward_is_plain_torchs(net) -> None:
    """ReLU, then pool, then normalisation across five maps: the order of figure 3's caption."""
    w = net.state_dict()
    x = torch.randn(1, 3, 224, 224) * 50  # of the size of pixels less their mean

    def conv(x, name, stride=1, padding=1):
        weight, bias = w[f"features.{name}.weight"], w[f"features.{name}.bias"]
        return F.relu(F.conv2d(x, weight, bias, stride, padding))

    def normalise(x):
        n = x.shape[1]
        near = [x[:, max(0, i - 2) : min(n, i + 3)].square().sum(1) for i in range(n)]
        return x / (2 + 1e-4 * torch.stack(near, dim=1)) ** 0.75

    with torch.no_grad():
        y = normalise(F.max_pool2d(conv(x, "conv1", 2), 3, 2, 1))
        y = normalise(F.max_pool2d(conv(y, "conv2", 2, 0), 3, 2, 1))
        y = F.max_pool2d(conv(conv(conv(y, "conv3"), "conv4"), "conv5"), 3, 2).flatten(1)
        for name in ("fc6", "fc7"):
            y = F.relu(F.linear(y, w[f"classifier.{name}.weight"], w[f"classifier.{name}.bias"]))
        y = F.linear(y, w["classifier.fc8.weight"], w["classifier.fc8.bias"])
        assert y.std() > 0
        torch.testing.assert_close(net(x), y, rtol=1e-4, atol=1e-7)


def test_first_values_are_section_3s(net) -> None:
    for name, p in net.named_parameters():
        if name.endswith("weight"):
            assert_normal(p, 0.01)
        else:
            assert not p.any()


def test_dropout_is_half_on_layers_6_and_7() -> None:
    assert dropout_rates(on_meta("zfnet")) == {"classifier.drop6": 0.5, "classifier.drop7": 0.5}


def test_gradient_reaches_all() -> None:
    net = on_meta("zfnet", in_channels=1, num_classes=3)
    assert_gradient_reaches_all(net, torch.empty(2, 1, 224, 224, device="meta"))


def test_batch_independent(net) -> None:
    assert_batch_independent(net, torch.randn(2, 3, 224, 224) * 50)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 256, 256), "reaches fc6 as 7x7, its weights need 6x6. Resize to 224x224"),
        ((1, 3, 52, 52), "the least is 53x53"),
        ((1, 1, 224, 224), "takes images"),
    ],
)
def test_impossible_pictures_are_refused(shape, message) -> None:
    with pytest.raises(convarium.ConvariumError, match=message):
        on_meta("zfnet")(torch.empty(shape, device="meta"))


def test_the_least_picture_leaves_a_map() -> None:
    assert min(on_meta("zfnet").features(torch.empty(1, 3, 53, 53, device="meta")).shape) == 1
