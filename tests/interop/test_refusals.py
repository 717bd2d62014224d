"""Another network's weights are refused with the first difference, and nothing is changed."""

from __future__ import annotations

import pytest
import torch

import convarium
from convarium.errors import InputError, UsageError


def _theirs(name: str) -> dict[str, torch.Tensor]:
    import torchvision

    more = {"init_weights": False} if name == "googlenet" else {}
    return torchvision.models.get_model(name, weights=None, **more).state_dict()


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        ("googlenet", "googlenet", r"inception_3a\.branch5x5: 5x5 expected, file has 3x3"),
        ("resnet50", "resnet50", "stride stands in the 3x3 of a block"),
        ("resnet18_b", "resnet34", r"the file has layer1\.2\.conv1, which this network lacks"),
        (
            "resnet34_b",
            "resnet18",
            r"conv2_x\.conv2_3\.conv1 \(there layer1\.2\.conv1\) is missing",
        ),
        ("resnet18_b", "resnet50", r"conv2_x\.conv2_1\.conv1: 3x3 expected, file has 1x1"),
        ("resnet18_a", "resnet18", r"the file has layer2\.0\.downsample\.0"),
        ("resnet18_b", "squeezenet1_1", r"conv1: 7x7 expected, file has 3x3"),
        (
            "squeezenet1_1",
            "squeezenet1_0",
            r"features\.conv1: 64x3x3x3 expected, file has 96x3x7x7",
        ),
        ("squeezenet1_0", "resnet18", r"features\.conv1: 96x3x7x7 expected, file has 64x3x7x7"),
        (
            "densenet121",
            "densenet169",
            r"features\.transition3\.0\.norm: 1024 expected, file has 1280",
        ),
        ("resnet20_cifar", "resnet18", r"conv1: 16x3x3x3 expected, file has 64x3x7x7"),
    ],
)
def test_the_first_difference_is_named(ours: str, theirs: str, message: str) -> None:
    model = convarium.create_model(ours)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with pytest.raises(InputError, match=message):
        convarium.load_weights(model, _theirs(theirs))
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        ("alexnet_owt", "alexnet", r"features\.conv4: 384x384x3x3 expected, file has 256x384x3x3"),
        ("vgg_a", "vgg16", r"features\.conv2_1: 128x64x3x3 expected, file has 64x64x3x3"),
        ("vgg_a_lrn", "vgg11", "no normalisation layer"),
        ("vgg_a", "vgg11_bn", "features"),
    ],
)
def test_the_first_difference_is_named_in_large_networks(ours, theirs, message) -> None:
    test_the_first_difference_is_named(ours, theirs, message)


def test_order_loads_what_a_rule_refuses() -> None:
    model = convarium.create_model("resnet50")
    assert convarium.load_weights(model, _theirs("resnet50"), source="order").source == "order"


def test_another_number_of_classes_is_refused_or_kept() -> None:
    model = convarium.create_model("resnet18_b", num_classes=10, in_channels=1)
    given = _theirs("resnet18")
    with pytest.raises(InputError, match="conv1: 64x1x7x7 expected, file has 64x3x7x7"):
        convarium.load_weights(model, given)
    own = model.fc.weight.clone()
    report = convarium.load_weights(model, given, keep_other_sizes=True)
    assert dict(report.kept) == {
        "conv1": "1 input channels here, 3 in the file",
        "fc": "10 classes here, 1000 in the file",
    }
    assert torch.equal(model.fc.weight, own)
    assert torch.equal(model.bn1.weight, given["bn1.weight"])


def test_only_sizes_at_the_ends_may_differ() -> None:
    model = convarium.create_model("squeezenet1_1", num_classes=10)
    given = dict(_theirs("squeezenet1_1"))
    given["features.3.squeeze.weight"] = torch.zeros(17, 64, 1, 1)
    with pytest.raises(InputError, match=r"features\.fire2\.squeeze1x1"):
        convarium.load_weights(model, given, keep_other_sizes=True)


def test_an_unknown_source_gets_suggestions() -> None:
    with pytest.raises(UsageError, match="Did you mean torchvision"):
        convarium.load_weights(convarium.create_model("lenet5"), {}, source="torchvison")


def test_a_library_without_that_network() -> None:
    model = convarium.create_model("lenet5")
    with pytest.raises(UsageError, match="timm has no network equal"):
        convarium.load_weights(model, {"a.weight": torch.zeros(1)}, source="timm")


def test_the_meta_device_holds_no_weights() -> None:
    with torch.device("meta"):
        model = convarium.create_model("lenet_caffe")
    with pytest.raises(UsageError, match="meta device"):
        convarium.load_weights(model, {"a.weight": torch.zeros(1)})
