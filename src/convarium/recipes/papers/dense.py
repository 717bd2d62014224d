"""Recipes of FractalNet, DenseNet and MobileNet."""

from __future__ import annotations

from convarium.recipes.papers.residual import TORCH_PHOTOGRAPHS, cifar_views
from convarium.recipes.papers.table import FROM_MEMORY, OURS, recipe, sgd

FRACTAL_CIFAR = recipe(
    "fractal_cifar",
    sgd("FractalNet section 4"),
    {
        "batch": (100, "FractalNet section 4"),
        "lr": (0.02, "FractalNet section 4"),
        "epochs": (400, "FractalNet section 4"),
        "schedule": (
            "halving 0.1 times 4",
            "FractalNet section 4: a tenth whenever the remaining epochs halve; four times is our "
            "choice",
        ),
        "shift_px": (4, "FractalNet section 4: translations (+); the 4 px of ResNet section 4.2"),
        "mirror": (True, "FractalNet section 4"),
        "normalise": ("channel", OURS + "the paper names none, DenseNet's CIFAR has it"),
    },
)

FRACTAL_IMAGENET = recipe(
    "fractal_imagenet",
    sgd("FractalNet section 4"),
    {
        "batch": (32, "FractalNet section 4"),
        "lr": (0.001, "FractalNet section 4"),
        "epochs": (70, "FractalNet section 4"),
        "schedule": ("step 0.1 at 50,65 epochs", f"FractalNet section 4{FROM_MEMORY}"),
        "short_side": ((256, 480), OURS + "the paper names none, ResNet section 3.4 has it"),
        "crop": (True, OURS + "the paper names none, ResNet section 3.4 has it"),
        "mirror": (True, OURS + "the paper names none, ResNet section 3.4 has it"),
        "normalise": ("channel mean", OURS + "the paper names none; trained in Caffe, its habit"),
    },
)

DENSENET_CIFAR = recipe(
    "densenet_cifar",
    sgd("DenseNet section 4.2", nesterov=True),
    cifar_views("DenseNet section 4.1: the (+) of the tables"),
    {
        "batch": (64, "DenseNet section 4.2"),
        "lr": (0.1, "DenseNet section 4.2"),
        "epochs": (300, "DenseNet section 4.2"),
        "schedule": (
            "step 0.1 at 150,225 epochs",
            "DenseNet section 4.2: at 50 and 75 % of the epochs",
        ),
        "weight_decay": (0.0001, "DenseNet section 4.2"),
        "normalise": ("channel", "DenseNet section 4.1"),
        "validation": (0.0, "DenseNet section 4.1: all 50,000"),
        "tested": ("last", "DenseNet section 4.1: the error at the end of training"),
        "options": ({}, "DenseNet section 4.2: dropout only without augmentation"),
    },
)

DENSENET_IMAGENET = recipe(
    "densenet_imagenet",
    sgd("DenseNet section 4.2", nesterov=True),
    {
        **TORCH_PHOTOGRAPHS,
        "batch": (256, "DenseNet section 4.2"),
        "lr": (0.1, "DenseNet section 4.2"),
        "epochs": (90, "DenseNet section 4.2"),
        "schedule": ("step 0.1 at 30,60 epochs", "DenseNet section 4.2"),
        "weight_decay": (0.0001, "DenseNet section 4.2"),
    },
)

_INCEPTION = "the paper names none; Inception v3 section 8, which it follows, has it"
_TF_SLIM = "TF-slim train_image_classifier.py"
MOBILENET_IMAGENET = recipe(
    "mobilenet_imagenet",
    {
        "optimizer": ("rmsprop", "MobileNet section 3.2, as Inception v3"),
        "momentum": (0.9, OURS + f"the paper names none; {_TF_SLIM} has it{FROM_MEMORY}"),
        "batch": (32, OURS + _INCEPTION),
        "lr": (0.045, OURS + _INCEPTION),
        "epochs": (100, OURS + _INCEPTION),
        "schedule": ("step 0.94 every 2 epochs", OURS + _INCEPTION),
        "weight_decay": (4e-5, OURS + f"the paper names none; {_TF_SLIM} has it"),
        "decay_on": ("not depthwise", "MobileNet section 3.2: little or none on depthwise filters"),
        "aux_weight": (0.0, "MobileNet section 3.2: no side heads"),
        "area": (
            (0.35, 1.0),
            "MobileNet section 3.2: small crops are limited in size; the share is our choice",
        ),
        "crop": (True, "MobileNet section 3.2"),
        "mirror": (True, OURS + "the paper names none; every ImageNet recipe of its time has it"),
        "jitter": (0.0, "MobileNet section 3.2: less augmentation; no colours is our choice"),
    },
)

DENSE = (
    FRACTAL_CIFAR,
    FRACTAL_IMAGENET,
    DENSENET_CIFAR,
    DENSENET_IMAGENET,
    MOBILENET_IMAGENET,
)
