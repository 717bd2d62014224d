"""What a ledger's entry says beside its main recipe: other data, one network's own rows."""

from __future__ import annotations

from convarium.recipes.papers.dense import DENSENET_CIFAR, FRACTAL_CIFAR
from convarium.recipes.papers.residual import WRN_CIFAR
from convarium.recipes.papers.table import OURS, Rows, changed, recipe, sgd

_NO_VIEWS = "without augmentation"


def _as_it_is(where: str) -> Rows:
    return {"shift_px": (0, f"{where}: {_NO_VIEWS}"), "mirror": (False, f"{where}: {_NO_VIEWS}")}


_DENSENET = "DenseNet section 4.2"
FURTHER = (
    changed("wrn_cifar_dropout", WRN_CIFAR, {"options": ({"dropout": 0.3}, "Wide ResNet Table 6")}),
    changed(
        "wrn_svhn",
        WRN_CIFAR,
        {
            **_as_it_is("Wide ResNet section 3"),
            "lr": (0.01, "Wide ResNet section 3"),
            "epochs": (160, "Wide ResNet section 3"),
            "schedule": ("step 0.1 at 80,120 epochs", "Wide ResNet section 3"),
            "options": ({"dropout": 0.4}, "Wide ResNet section 3"),
        },
    ),
    changed(
        "fractal_svhn",
        FRACTAL_CIFAR,
        {**_as_it_is("FractalNet section 4"), "epochs": (20, "FractalNet section 4")},
    ),
    changed(
        "densenet_cifar_plain",
        DENSENET_CIFAR,
        {**_as_it_is(_DENSENET), "options": ({"dropout": 0.2}, f"{_DENSENET}: {_NO_VIEWS}")},
    ),
    changed(
        "densenet_svhn",
        DENSENET_CIFAR,
        {
            **_as_it_is(_DENSENET),
            "epochs": (40, _DENSENET),
            "schedule": ("step 0.1 at 20,30 epochs", f"{_DENSENET}: at 50 and 75 % of the epochs"),
            "options": ({"dropout": 0.2}, f"{_DENSENET}: {_NO_VIEWS}"),
        },
    ),
    recipe(
        "darknet19_imagenet",
        sgd("YOLO9000 section 3"),
        {
            "batch": (128, OURS + "the paper names none; darknet's cfg has it (from memory)"),
            "lr": (0.1, "YOLO9000 section 3"),
            "epochs": (160, "YOLO9000 section 3"),
            "schedule": ("poly 4", "YOLO9000 section 3"),
            "weight_decay": (0.0005, "YOLO9000 section 3"),
            "area": ((0.25, 1.0), "YOLO9000 section 3: random crops; the share is our choice"),
            "crop": (True, "YOLO9000 section 3: random crops"),
            "mirror": (True, OURS + "the paper's standard augmentation names none"),
            "jitter": (0.4, "YOLO9000 section 3: exposure and saturation; the share is our choice"),
        },
    ),
)

_FIRST_OF_A = "VGG section 3.1: the first four convolutions and the three FC layers of A"
_FROM_A: Rows = {"init_from": ("vgg_a", _FIRST_OF_A), "init_convolutions": (4, _FIRST_OF_A)}
# Network: the recipe that it takes where that is not the ledger's, and its own rows of it.
OWN_RECIPE = {
    "darknet19": "darknet19_imagenet",
    "stochastic_depth_1202": "stochdepth_1202",
}
OWN_ROWS: dict[str, Rows] = {
    **dict.fromkeys(("vgg_b", "vgg_c", "vgg_d", "vgg_e"), _FROM_A),
    "resnet110_cifar": {
        "warmup": (
            "400 iterations at 0.1",
            "ResNet section 4.2: 0.01 until the training error is below 80 %, about 400 iterations",
        )
    },
}
