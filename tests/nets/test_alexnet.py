"""AlexNet against Krizhevsky et al. 2012, figure 2, and bvlc_alexnet; one tower against 2014."""

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
    layer_table,
    on_meta,
)

import convarium
from convarium.nets import alexnet

NAMES = ("alexnet_2gpu", "alexnet_ungrouped", "alexnet_owt")
# Figure 2 and section 3.5: layer, maps of both towers, side behind it (and behind its pool).
FIGURE_2 = (
    ("conv1", 96, 55),
    ("pool1", 96, 27),
    ("conv2", 256, 27),
    ("pool2", 256, 13),
    ("conv3", 384, 13),
    ("conv4", 384, 13),
    ("conv5", 256, 13),
    ("pool5", 256, 6),
)
WEIGHTS = {  # weights of both towers, then biases, from the same figure
    "conv1": (96 * 3 * 11 * 11, 96),
    "conv2": (2 * 128 * 48 * 5 * 5, 256),
    "conv3": (384 * 256 * 3 * 3, 384),
    "conv4": (2 * 192 * 192 * 3 * 3, 384),
    "conv5": (2 * 128 * 192 * 3 * 3, 256),
    "fc6": (256 * 6 * 6 * 4096, 4096),
    "fc7": (4096 * 4096, 4096),
    "fc8": (4096 * 1000, 1000),
}


@pytest.fixture
def narrow(monkeypatch) -> None:
    """Sixteen hidden neurons in place of 4096: the same network without its 55 million weights."""
    monkeypatch.setattr(alexnet, "HIDDEN", 16)


def both_towers(name: str) -> tuple[int, int, int, int]:
    """Maps, side, parameters and MACs of a layer, both towers together."""
    rows = [r for r in cost_by_name("alexnet_2gpu").rows if r.name.split(".")[-1] == name]
    maps = sum(row.output_shape[1] for row in rows)
    side = rows[0].output_shape[2] if len(rows[0].output_shape) == 4 else 1
    return maps, side, sum(row.params for row in rows), sum(row.macs for row in rows)


@pytest.mark.parametrize(("name", "maps", "side"), FIGURE_2)
def test_row_is_figure_2s(name, maps, side) -> None:
    assert both_towers(name)[:2] == (maps, side)


@pytest.mark.parametrize("name", WEIGHTS)
def test_parameters_follow_from_the_figure(name) -> None:
    weights, biases = WEIGHTS[name]
    _, side, params, macs = both_towers(name)
    assert params == weights + biases
    assert macs == weights * side**2


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_the_ledgers(name) -> None:
    assert_matches_ledger(name)


def test_totals_follow_from_the_figure() -> None:
    two_towers = sum(w + b for w, b in WEIGHTS.values())
    grouped = sum(WEIGHTS[name][0] for name in ("conv2", "conv4", "conv5"))
    assert two_towers == 60_965_224
    assert two_towers + grouped == 62_378_344  # ungrouped, those three have twice the weights


def test_one_weird_trick_counts() -> None:
    widths = (3, 64, 192, 384, 384, 256)
    kernels = (121, 25, 9, 9, 9)
    convs = sum((k * i + 1) * o for k, i, o in zip(kernels, widths, widths[1:], strict=False))
    assert convs + (9216 + 1) * 4096 + 4097 * 4096 + 4097 * 1000 == 61_838_248


@pytest.mark.parametrize(("name", "maps", "side"), [("conv1", 64, 55), ("conv4", 384, 13)])
def test_one_weird_trick_has_alexnets_sides(name, maps, side) -> None:
    assert by_layer(cost_by_name("alexnet_owt"))[name].output_shape == (1, maps, side, side)


def test_layers_are_bvlcs(shared_data) -> None:
    for layer in layer_table(shared_data, "alexnet-2group-bvlc"):
        if layer["type"] not in ("Convolution", "InnerProduct", "Pooling"):
            continue
        maps, side = (*layer["out_shape"], 1)[:2]
        assert both_towers(layer["name"]) == (maps, side, layer["params"], layer["macs"])


@pytest.mark.parametrize(
    ("name", "field"),
    [("conv1", 11), ("pool1", 11 + 2 * 4), ("conv2", 19 + 4 * 8), ("conv3", 51 + 2 * 8 + 2 * 16)],
)
def test_receptive_field_follows_from_kernels_and_strides(name, field) -> None:
    assert by_layer(cost_by_name("alexnet_2gpu"))[name].receptive_field == field


def grouped(net: alexnet.AlexNet2GPU, x: torch.Tensor) -> torch.Tensor:
    """The two towers as one network with two groups, as Caffe writes it, on the same weights."""
    one, two = dict(net.tower1.named_parameters()), dict(net.tower2.named_parameters())

    def conv(x, name, **options):
        weight = torch.cat((one[f"{name}.weight"], two[f"{name}.weight"]))
        bias = torch.cat((one[f"{name}.bias"], two[f"{name}.bias"]))
        return F.relu(F.conv2d(x, weight, bias, **options))

    def normalise(x):  # equation of section 3.3, map by map inside each tower's half
        halves = []
        for half in x.chunk(2, dim=1):
            n = half.shape[1]
            near = [half[:, max(0, i - 2) : min(n, i + 3)].square().sum(1) for i in range(n)]
            halves.append(half / (2 + 1e-4 * torch.stack(near, dim=1)) ** 0.75)
        return torch.cat(halves, dim=1)

    def full(x, name):
        weight = torch.cat((one[f"{name}.weight"], two[f"{name}.weight"]))
        return F.relu(F.linear(x, weight, torch.cat((one[f"{name}.bias"], two[f"{name}.bias"]))))

    x = F.max_pool2d(normalise(conv(x, "conv1", stride=4)), 3, 2)
    x = F.max_pool2d(normalise(conv(x, "conv2", padding=2, groups=2)), 3, 2)
    x = conv(x, "conv3", padding=1)
    x = conv(x, "conv4", padding=1, groups=2)
    x = F.max_pool2d(conv(x, "conv5", padding=1, groups=2), 3, 2)
    return net.fc8(full(full(x.flatten(1), "fc6"), "fc7"))


@pytest.mark.usefixtures("narrow")
def test_towers_are_one_network_with_two_groups() -> None:
    net = convarium.create_model("alexnet_2gpu", num_classes=5).eval()
    x = torch.randn(1, 3, 227, 227) * 50  # of the size of pixels less their mean
    with torch.no_grad():
        torch.testing.assert_close(net(x), grouped(net, x), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("narrow")
def test_spread_to_one_device_changes_no_number() -> None:
    net = convarium.create_model("alexnet_2gpu", num_classes=5).eval()
    x = torch.randn(1, 3, 227, 227)
    with torch.no_grad():
        before = net(x)
        assert torch.equal(net.spread("cpu", "cpu:0")(x), before)


@pytest.mark.gpu
@pytest.mark.usefixtures("narrow")
def test_spread_to_two_devices_gives_the_same_numbers() -> None:
    net = convarium.create_model("alexnet_2gpu", num_classes=5).eval()
    x = torch.randn(1, 3, 227, 227)
    with torch.no_grad():
        before = net(x)
        torch.testing.assert_close(net.spread("cpu", "cuda")(x), before, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("narrow")
def test_towers_meet_at_conv3_and_not_before() -> None:
    """With tower2 on meta, NaN shows where tower1 reads what tower2 made."""
    net = convarium.create_model("alexnet_2gpu").eval().spread("cpu", "meta")
    seen = {}
    for name, layer in net.tower1.items():
        layer.register_forward_hook(lambda m, args, out, name=name: seen.update({name: out}))
    with torch.no_grad():
        logits = net(torch.randn(1, 3, 227, 227))
    own = ("conv1", "lrn1", "pool1", "conv2", "lrn2", "pool2")
    assert (logits.device.type, logits.shape) == ("cpu", (1, 1000))
    assert all(seen[name].isfinite().all() for name in own)
    assert seen["conv3"].isnan().all()
    assert net.tower2.conv1.weight.is_meta


@pytest.mark.usefixtures("narrow")
def test_towers_on_two_devices_keep_the_shapes() -> None:
    net = convarium.create_model("alexnet_2gpu", num_classes=7).eval().spread("meta", "cpu")
    with torch.no_grad():
        assert net(torch.randn(2, 3, 227, 227)).shape == (2, 7)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("narrow")
def test_first_values_are_section_5s(name) -> None:
    ones = {"conv2", "conv4", "conv5", "fc6", "fc7"}
    for path, p in convarium.create_model(name).named_parameters():
        *_, layer, kind = path.split(".")
        if kind == "weight":
            assert_normal(p, 0.01)
        else:
            assert p.eq(1.0 if layer in ones else 0.0).all(), path


def test_half_of_the_hidden_neurons_are_dropped() -> None:
    assert dropout_rates(on_meta("alexnet_owt")) == {
        "classifier.drop6": 0.5,
        "classifier.drop7": 0.5,
    }
    assert set(dropout_rates(on_meta("alexnet_2gpu")).values()) == {0.5}
    assert len(dropout_rates(on_meta("alexnet_2gpu"))) == 4


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_all(name) -> None:
    side = convarium.model_facts(name).input[1]
    net = on_meta(name, in_channels=1, num_classes=3)
    assert_gradient_reaches_all(net, torch.empty(2, 1, side, side, device="meta"))


@pytest.mark.usefixtures("narrow")
def test_gradient_is_nowhere_zero() -> None:
    net = convarium.create_model("alexnet_2gpu", num_classes=3).eval()
    assert_gradient_reaches_all(net, torch.randn(1, 3, 227, 227))


@pytest.mark.usefixtures("narrow")
def test_batch_independent() -> None:
    net = convarium.create_model("alexnet_2gpu", num_classes=3)
    assert_batch_independent(net, torch.randn(2, 3, 227, 227))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("alexnet_2gpu", (1, 3, 224, 224), "reaches fc6 as 5x5, its weights need 6x6. Resize to"),
        ("alexnet_2gpu", (1, 3, 288, 288), "reaches fc6 as 7x7.*Resize to 227x227"),
        ("alexnet_owt", (1, 3, 192, 192), "reaches fc6 as 5x5.*Resize to 224x224"),
        ("alexnet_ungrouped", (1, 3, 66, 66), "the least is 67x67"),
        ("alexnet_2gpu", (1, 1, 227, 227), "takes images"),
    ],
)
def test_impossible_pictures_are_refused(name, shape, message) -> None:
    with pytest.raises(convarium.ConvariumError, match=message):
        on_meta(name)(torch.empty(shape, device="meta"))


@pytest.mark.parametrize(("name", "least"), [("alexnet_ungrouped", 67), ("alexnet_owt", 63)])
def test_the_least_picture_leaves_a_map(name, least) -> None:
    features = on_meta(name).features
    assert features(torch.empty(1, 3, least, least, device="meta")).shape[2:] == (1, 1)
    with pytest.raises(convarium.ConvariumError, match=f"least is {least}x{least}"):
        on_meta(name)(torch.empty(1, 3, least - 1, least - 1, device="meta"))
