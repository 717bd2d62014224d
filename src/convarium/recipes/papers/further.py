"""What a ledger's entry says beside its main recipe: other data, one network's own rows."""

from __future__ import annotations

from convarium.recipes.papers.dense import DENSENET_CIFAR, FRACTAL_CIFAR
from convarium.recipes.papers.early import LENET_MNIST
from convarium.recipes.papers.residual import STOCHDEPTH_CIFAR, WRN_CIFAR
from convarium.recipes.papers.table import OURS, Rows, changed, recipe, sgd

_NO_VIEWS = "without augmentation"


def _as_it_is(where: str) -> Rows:
    return {"shift_px": (0, f"{where}: {_NO_VIEWS}"), "mirror": (False, f"{where}: {_NO_VIEWS}")}


_DENSENET = "DenseNet section 4.2"
_STOCHDEPTH = "Stochastic depth section 4"
_WRN_SVHN = "szagoruyko/wide-residual-networks scripts/train_svhn.sh"
_SATURATED = (
    OURS + "at the paper's rates, ten times these, F6 saturates within the first 300 patterns"
)
FURTHER = (
    changed(
        "lenet_mnist_tenth",
        LENET_MNIST,
        {
            "lr": (5e-05, _SATURATED),
            "schedule": (
                "rates 5e-05 2e-05 1e-05 5e-06 1e-06 at 2,5,8,12 epochs",
                f"LeNet-5 section III.B, a tenth of each. {_SATURATED}",
            ),
        },
    ),
    changed("wrn_cifar_dropout", WRN_CIFAR, {"options": ({"dropout": 0.3}, "Wide ResNet Table 6")}),
    changed(
        "wrn_svhn",
        WRN_CIFAR,
        {
            **_as_it_is(_WRN_SVHN),
            "normalise": ("unit", "Wide ResNet section 3: levels divided by 255, nothing else"),
            "lr": (0.01, _WRN_SVHN),
            "epochs": (160, _WRN_SVHN),
            "schedule": ("step 0.1 at 80,120 epochs", _WRN_SVHN),
            "options": ({"dropout": 0.4}, _WRN_SVHN),
        },
    ),
    changed(
        "stochdepth_svhn",
        STOCHDEPTH_CIFAR,
        {
            **_as_it_is(_STOCHDEPTH),
            "validation": (0.01, f"{_STOCHDEPTH}: 6,000 of SVHN's 604,388"),
            "normalise": (
                "pixel mean",
                "yueatsprograms/Stochastic_Depth svhn-dataset.lua: of what is trained on; all are "
                "divided by one number too",
            ),
            "epochs": (50, _STOCHDEPTH),
            "schedule": ("step 0.1 at 30,35 epochs", _STOCHDEPTH),
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
            **_as_it_is("DenseNet section 4.1"),
            "normalise": ("unit", "DenseNet section 4.1: levels divided by 255"),
            "validation": (0.01, "DenseNet section 4.1: 6,000 of SVHN's 604,388"),
            "tested": ("best", "DenseNet section 4.1: the model of the lowest validation error"),
            "epochs": (40, _DENSENET),
            "schedule": ("step 0.1 at 20,30 epochs", f"{_DENSENET}: at 50 and 75 % of the epochs"),
            "options": ({"dropout": 0.2}, f"{_DENSENET}: {_NO_VIEWS}"),
        },
    ),
    recipe(
        "darknet19_imagenet",
        sgd("YOLO9000 section 3"),
        {
            "batch": (128, "pjreddie/darknet cfg/darknet19.cfg; the paper names none"),
            "lr": (0.1, "YOLO9000 section 3"),
            "epochs": (160, "YOLO9000 section 3"),
            "schedule": ("poly 4", "YOLO9000 section 3"),
            "weight_decay": (0.0005, "YOLO9000 section 3"),
            "area": ((0.25, 1.0), "YOLO9000 section 3: random crops; the share is our choice"),
            "crop": (True, "YOLO9000 section 3: random crops"),
            "mirror": (True, OURS + "section 3 names the usual tricks, and no mirror"),
            "jitter": (
                0.4,
                "YOLO9000 section 3: exposure and saturation; the share is our choice; "
                "its rotation and hue are left out",
            ),
        },
    ),
)

_FIRST_OF_A = "VGG section 3.1: the first four convolutions and the three FC layers of A"
_FROM_A: Rows = {"init_from": ("vgg_a", _FIRST_OF_A), "init_convolutions": (4, _FIRST_OF_A)}
# Network: the recipe that it takes where that is not the ledger's, and its own rows of it.
OWN_RECIPE = {
    "darknet19": "darknet19_imagenet",
    "stochastic_depth_1202": "stochdepth_1202",
    "stochastic_depth_152_svhn": "stochdepth_svhn",
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
