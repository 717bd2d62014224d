"""Network in Network against Lin et al. 2014 and the authors' configuration files."""

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

NAMES = ("nin_cifar10", "nin_cifar100", "nin_imagenet")
# NIN/cifar-10_def of mavenlin/cuda-convnet: layer, input maps, maps, kernel, side, initW.
CIFAR_10 = (
    ("conv1", 3, 192, 5, 32, 0.05),
    ("cccp1", 192, 160, 1, 32, 0.05),
    ("cccp2", 160, 96, 1, 32, 0.05),
    ("conv2", 96, 192, 5, 16, 0.05),
    ("cccp3", 192, 192, 1, 16, 0.05),
    ("cccp4", 192, 192, 1, 16, 0.05),
    ("conv3", 192, 192, 3, 8, 0.05),
    ("cccp5", 192, 192, 1, 8, 0.05),
    ("cccp6", 192, 10, 1, 8, 0.05),
)
# cifar-100_def: the same but for the last width and the first three deviations.
CIFAR_100 = (
    ("conv1", 3, 192, 5, 32, 0.001),
    ("cccp1", 192, 160, 1, 32, 0.01),
    ("cccp2", 160, 96, 1, 32, 0.01),
    *CIFAR_10[3:8],
    ("cccp6", 192, 100, 1, 8, 0.05),
)
# The authors' Caffe model, nin_imagenet, at 227.
IMAGENET = (
    ("conv1", 3, 96, 11, 55, 0.01),
    ("cccp1", 96, 96, 1, 55, 0.05),
    ("cccp2", 96, 96, 1, 55, 0.05),
    ("conv2", 96, 256, 5, 27, 0.05),
    ("cccp3", 256, 256, 1, 27, 0.05),
    ("cccp4", 256, 256, 1, 27, 0.05),
    ("conv3", 256, 384, 3, 13, 0.01),
    ("cccp5", 384, 384, 1, 13, 0.05),
    ("cccp6", 384, 384, 1, 13, 0.05),
    ("conv4", 384, 1024, 3, 6, 0.05),
    ("cccp7", 1024, 1024, 1, 6, 0.05),
    ("cccp8", 1024, 1000, 1, 6, 0.01),
)
TABLES = dict(zip(NAMES, (CIFAR_10, CIFAR_100, IMAGENET), strict=True))
ROWS = [(net, row) for net, table in TABLES.items() for row in table]


@pytest.mark.parametrize(("net", "row"), ROWS)
def test_row_is_the_configurations(net, row) -> None:
    name, seen, maps, kernel, side, _ = row
    found = by_layer(cost_by_name(net))[name]
    assert found.output_shape == (1, maps, side, side)
    assert found.params == (seen * kernel**2 + 1) * maps
    assert found.macs == seen * kernel**2 * maps * side**2


@pytest.mark.parametrize("name", NAMES)
def test_totals(name) -> None:
    params = sum((seen * k * k + 1) * maps for _, seen, maps, k, _, _ in TABLES[name])
    assert cost_by_name(name).params == params
    assert_matches_ledger(name)


@pytest.mark.parametrize("name", NAMES)
def test_first_values_are_the_configurations(name) -> None:
    net = convarium.create_model(name)
    deviations = {row[0]: row[5] for row in TABLES[name]}
    for path, p in net.named_parameters():
        _, layer, kind = path.split(".")
        if kind == "weight":
            assert_normal(p, deviations[layer])
        else:
            assert not p.any()


def test_dropout_is_half_behind_the_first_two_layers() -> None:
    assert dropout_rates(on_meta("nin_cifar10")) == {"features.drop1": 0.5, "features.drop2": 0.5}
    assert dropout_rates(on_meta("nin_imagenet")) == {"features.drop3": 0.5}


def test_both_pools_are_the_papers_maxima() -> None:
    pools = {r.name: r.kind for r in cost_by_name("nin_cifar10").rows if "pool" in r.name}
    assert pools == {"features.pool1": "MaxPool2d", "features.pool2": "MaxPool2d"}


def test_a_micro_network_slides_over_the_picture() -> None:
    """Figure 1b: an mlpconv output is a small perceptron of each 5x5 patch, computed by hand."""
    net = convarium.create_model("nin_cifar10").eval()
    w = {key.removeprefix("features."): value for key, value in net.state_dict().items()}
    x = torch.randn(1, 3, 8, 8)
    patch = x[0, :, 1:6, 2:7].flatten()  # around row 3, column 4
    for name in ("conv1", "cccp1", "cccp2"):
        patch = F.relu(w[f"{name}.weight"].flatten(1) @ patch + w[f"{name}.bias"])
    with torch.no_grad():
        maps = net.features[:6](x)
    torch.testing.assert_close(maps[0, :, 3, 4], patch, rtol=1e-4, atol=1e-5)


def test_forward_is_plain_torchs() -> None:
    net = convarium.create_model("nin_cifar10", num_classes=7).eval()
    w = {key.removeprefix("features."): value for key, value in net.state_dict().items()}
    x = torch.randn(2, 3, 32, 32)
    y = x
    for name, _, _, kernel, _, _ in CIFAR_10:
        y = F.relu(F.conv2d(y, w[f"{name}.weight"], w[f"{name}.bias"], padding=kernel // 2))
        if name in ("cccp2", "cccp4"):
            y = F.pad(y, (0, 1, 0, 1), value=-torch.inf)  # rounding up: the last window is cut off
            y = F.max_pool2d(y, 3, 2)
    with torch.no_grad():
        torch.testing.assert_close(net(x), y.mean((2, 3)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_all(name) -> None:
    side = convarium.model_facts(name).input[1]
    net = on_meta(name, in_channels=1, num_classes=3)
    assert_gradient_reaches_all(net, torch.empty(2, 1, side, side, device="meta"))


def test_behaviour() -> None:
    net = convarium.create_model("nin_cifar10", num_classes=3)
    x = torch.randn(2, 3, 16, 16)
    assert_gradient_reaches_all(net, x)
    assert_batch_independent(net, x)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("nin_cifar10", (1, 3, 3, 3), "too small; the least is 4x4"),
        ("nin_imagenet", (1, 3, 50, 50), "too small; the least is 51x51"),
        ("nin_cifar100", (1, 1, 32, 32), "takes images"),
    ],
)
def test_impossible_pictures_are_refused(name, shape, message) -> None:
    with pytest.raises(convarium.ConvariumError, match=message):
        on_meta(name)(torch.empty(shape, device="meta"))


@pytest.mark.parametrize(("name", "least"), [("nin_cifar10", 4), ("nin_imagenet", 51)])
def test_the_least_picture_is_taken(name, least) -> None:
    classes = convarium.create_model(name, num_classes=2).eval()(torch.randn(1, 3, least, least))
    assert classes.shape == (1, 2)
