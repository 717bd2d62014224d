"""The contracts of the top package."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import convarium

PUBLIC = [name for name in convarium.__all__ if name != "__version__"]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name) -> None:
    assert getattr(convarium, name) is not None
    assert name in dir(convarium)


def test_unknown_attributes_are_refused() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = convarium.nothing


@pytest.mark.slow
def test_verify_can_be_called_again_and_again() -> None:
    """Importing convarium.verify.* must not hide the function behind the package."""
    code = (
        "import convarium; first = convarium.verify('vgg_a'); "
        "import convarium.verify.engine; assert convarium.verify('vgg11') == first"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_other_classes_and_channels() -> None:
    with torch.device("meta"):
        model = convarium.create_model("squeezenet1_1", num_classes=7, in_channels=1)
        assert model.eval()(torch.empty(2, 1, 64, 64)).shape == (2, 7)


@pytest.mark.parametrize("kwargs", [{"num_classes": 0}, {"in_channels": -1}])
def test_impossible_options(kwargs) -> None:
    with pytest.raises(convarium.ConvariumError, match="at least 1"):
        convarium.create_model("lenet5", **kwargs)


def test_a_feature_map_takes_no_classes() -> None:
    with pytest.raises(convarium.ConvariumError, match="feature map"):
        convarium.create_model("inception_naive", num_classes=10)


def test_a_misspelt_name_gets_the_closest() -> None:
    with pytest.raises(convarium.ConvariumError, match="Did you mean resnet50"):
        convarium.create_model("resnet5O")


def test_aliases_are_the_networks_of_the_contract() -> None:
    aliases = {
        "alexnet": "alexnet_2gpu",
        "vgg11": "vgg_a",
        "vgg13": "vgg_b",
        "vgg16": "vgg_d",
        "vgg19": "vgg_e",
        "resnet18": "resnet18_b",
        "resnet34": "resnet34_b",
        "squeezenet": "squeezenet1_0",
        "mobilenet_v1": "mobilenet_v1_100_224",
    }
    for alias, name in aliases.items():
        assert convarium.model_facts(alias) == convarium.model_facts(name)
        assert convarium.measure_cost(alias).name == name


def test_facts_of_detectors_are_there_before_the_detectors_are() -> None:
    assert convarium.model_facts("yolov3_416").family == "yolo"
