"""VGG against Simonyan & Zisserman 2015, Tables 1 and 2, torchvision, and Darknet's vgg-16.cfg."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torchvision
from classic_checks import (
    assert_batch_independent,
    assert_gradient_reaches_all,
    assert_matches_ledger,
    assert_normal,
    by_layer,
    cost_by_name,
    dropout_rates,
    layer_table,
    on_meta,
)
from torch import nn

import convarium
from convarium.nets import vgg

NAMES = ("vgg_a", "vgg_a_lrn", "vgg_b", "vgg_c", "vgg_d", "vgg_e")
# Table 1: convolutions a stage; side and maps behind the stage's pool.
CONVS = {
    "vgg_a": (1, 1, 2, 2, 2),
    "vgg_a_lrn": (1, 1, 2, 2, 2),
    "vgg_b": (2, 2, 2, 2, 2),
    "vgg_c": (2, 2, 3, 3, 3),
    "vgg_d": (2, 2, 3, 3, 3),
    "vgg_e": (2, 2, 4, 4, 4),
}
STAGES = ((64, 112), (128, 56), (256, 28), (512, 14), (512, 7))
TABLE_2 = {"vgg_a": 133, "vgg_a_lrn": 133, "vgg_b": 133, "vgg_c": 134, "vgg_d": 138, "vgg_e": 144}
TORCHVISION = {"vgg_a": "vgg11", "vgg_b": "vgg13", "vgg_d": "vgg16", "vgg_e": "vgg19"}


def convolutions(name: str) -> list[tuple[str, int, int, int, int]]:
    """Layer, input maps, maps, kernel and side of every convolution, from Table 1's stages."""
    rows, seen = [], 3
    for stage, (maps, pooled) in enumerate(STAGES, start=1):
        for i in range(1, CONVS[name][stage - 1] + 1):
            one_by_one = name == "vgg_c" and stage > 2 and i == 3
            rows.append((f"conv{stage}_{i}", seen, maps, 1 if one_by_one else 3, pooled * 2))
            seen = maps
    return rows


@pytest.fixture
def narrow(monkeypatch) -> None:
    """Eight hidden neurons in place of 4096: the same convolutions without 120 million weights."""
    monkeypatch.setattr(vgg, "HIDDEN", 8)


@pytest.mark.parametrize("name", NAMES)
def test_convolutions_are_table_1s(name) -> None:
    rows = [row for row in cost_by_name(name).rows if row.kind == "Conv2d"]
    found = [(r.name, r.output_shape, r.params, r.macs) for r in rows]
    assert found == [
        (
            f"features.{layer}",
            (1, maps, side, side),
            (seen * k * k + 1) * maps,
            seen * k * k * maps * side**2,
        )
        for layer, seen, maps, k, side in convolutions(name)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_pools_halve(name) -> None:
    rows = by_layer(cost_by_name(name))
    found = [rows[f"pool{stage}"].output_shape for stage in range(1, 6)]
    assert found == [(1, maps, side, side) for maps, side in STAGES]


@pytest.mark.parametrize("name", NAMES)
def test_totals_are_table_2s(name) -> None:
    fully = (512 * 49 + 1) * 4096 + 4097 * 4096 + 4097 * 1000
    params = sum((seen * k * k + 1) * maps for _, seen, maps, k, _ in convolutions(name)) + fully
    assert cost_by_name(name).params == params
    assert round(params / 1e6) == TABLE_2[name]
    assert_matches_ledger(name)


def test_three_convolutions_see_7x7() -> None:
    """Section 2.3: a stack of three 3x3 has a 7x7 field, of two 5x5; here behind two pools."""
    rows = by_layer(cost_by_name("vgg_d"))
    before, step = rows["pool2"].receptive_field, 4
    assert rows["conv3_2"].receptive_field == before + (5 - 1) * step
    assert rows["conv3_3"].receptive_field == before + (7 - 1) * step


@pytest.mark.parametrize(("name", "twin"), TORCHVISION.items())
@pytest.mark.usefixtures("narrow")
def test_features_are_torchvisions(name, twin) -> None:
    net = convarium.create_model(name)
    with torch.device("meta"):
        peer = torchvision.models.get_model(twin).features
    peer.load_state_dict(
        dict(zip(peer.state_dict(), net.features.state_dict().values(), strict=True)), assign=True
    )
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(net.features(x), peer(x), rtol=1e-4, atol=1e-3)


def test_classifier_is_torchvisions() -> None:
    with torch.device("meta"):
        peer = torchvision.models.vgg16().classifier
    assert [str(m) for m in on_meta("vgg_d").classifier] == [
        str(m).replace(", inplace=True", "").replace("inplace=True", "") for m in peer
    ]


@pytest.mark.usefixtures("narrow")
def test_a_lrn_differs_from_a_under_equal_weights() -> None:
    a, lrn = convarium.create_model("vgg_a"), convarium.create_model("vgg_a_lrn")
    lrn.load_state_dict(a.state_dict())
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        plain, normalised = a.features(x), lrn.features(x)
        assert not torch.allclose(plain, normalised, rtol=1e-2)
        y = a.features.relu1_1(a.features.conv1_1(x))
        near = [y[:, max(0, i - 2) : i + 3].square().sum(1) for i in range(64)]
        y = y / (2 + 1e-4 * torch.stack(near, dim=1)) ** 0.75
        torch.testing.assert_close(a.features[2:](y), normalised, rtol=1e-4, atol=1e-4)


def test_layers_are_darknets(shared_data) -> None:
    """Their cfg takes 256x256; its 13 convolutions and 5 pools are column D's."""
    table = [
        (tuple(layer["out_shape"]), layer["params"], layer["macs"])
        for layer in layer_table(shared_data, "darknet-vgg-16")
        if layer["type"] in ("convolutional", "maxpool")
    ]
    report = convarium.measure_cost(on_meta("vgg_d").features, (3, 256, 256))
    rows = [r for r in report.rows if r.kind in ("Conv2d", "MaxPool2d")]
    assert len(rows) == 18
    assert [(r.output_shape[1:], r.params, r.macs) for r in rows] == table


@pytest.mark.parametrize("name", ["vgg_a", "vgg_c"])
@pytest.mark.usefixtures("narrow")
def test_first_values_are_section_3_1s(name) -> None:
    for path, p in convarium.create_model(name).named_parameters():
        if path.endswith("weight"):
            assert_normal(p, 0.01**0.5)  # a variance of 10^-2
        else:
            assert not p.any()


def test_first_values_for_32px_are_hes() -> None:
    for path, p in convarium.create_model("vgg_a_32px").named_parameters():
        if path.endswith("weight"):
            assert_normal(p, (2 / p[0].numel()) ** 0.5)
        else:
            assert not p.any()


def test_dropout_is_half_on_the_first_two_fc() -> None:
    assert dropout_rates(on_meta("vgg_e")) == {"classifier.drop6": 0.5, "classifier.drop7": 0.5}


def test_32px_counts() -> None:
    convs = [(seen, maps, side // 7) for _, seen, maps, _, side in convolutions("vgg_a")]
    params = sum((9 * seen + 1) * maps for seen, maps, _ in convs)
    assert params == 9_220_480
    assert params + 513 * 10 == cost_by_name("vgg_a_32px").params
    macs = sum(9 * seen * maps * side**2 for seen, maps, side in convs) + 512 * 10
    assert macs == cost_by_name("vgg_a_32px").macs
    assert_matches_ledger("vgg_a_32px")


@pytest.mark.parametrize("name", [*NAMES, "vgg_a_32px"])
def test_gradient_reaches_all(name) -> None:
    side = convarium.model_facts(name).input[1]
    net = on_meta(name, in_channels=1, num_classes=3)
    assert_gradient_reaches_all(net, torch.empty(1, 1, side, side, device="meta"))


def test_behaviour_for_32px() -> None:
    net = convarium.create_model("vgg_a_32px", in_channels=1, num_classes=4)
    x = torch.randn(2, 1, 32, 32)
    assert_gradient_reaches_all(net, x)
    assert_batch_independent(net, x)


@pytest.mark.usefixtures("narrow")
def test_c_has_a_relu_behind_each_1x1() -> None:
    kinds = [type(layer) for layer in convarium.create_model("vgg_c").features]
    behind = [b for a, b in pairwise(kinds) if issubclass(a, nn.Conv2d)]
    assert [issubclass(kind, nn.ReLU) for kind in behind] == [True] * 13


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("vgg_a", (1, 3, 256, 256), "reaches fc6 as 8x8, its weights need 7x7. Resize to 224x224"),
        ("vgg_d", (1, 3, 31, 31), "too small; the least is 32x32"),
        ("vgg_a_32px", (1, 3, 64, 64), "reaches fc8 as 2x2, its weights need 1x1. Resize to 32x32"),
        ("vgg_e", (1, 1, 224, 224), "takes images"),
    ],
)
def test_impossible_pictures_are_refused(name, shape, message) -> None:
    with pytest.raises(convarium.ConvariumError, match=message):
        on_meta(name)(torch.empty(shape, device="meta"))
