"""Recipes of the residual networks: ResNet, PreAct, Wide ResNet, ResNeXt, stochastic depth."""

from __future__ import annotations

from convarium.recipes.papers.table import HELD_OUT, OURS, PATIENCE, Rows, changed, recipe, sgd

_TORCH = "fb.resnet.torch"
# The Torch code that several of these papers train with.
TORCH_PHOTOGRAPHS: Rows = {
    "area": ((0.08, 1.0), f"{_TORCH} datasets/transforms.lua: RandomSizedCrop"),
    "aspect": ((3 / 4, 4 / 3), f"{_TORCH} datasets/transforms.lua: RandomSizedCrop"),
    "crop": (True, f"{_TORCH} datasets/imagenet.lua: RandomSizedCrop"),
    "mirror": (True, f"{_TORCH} datasets/imagenet.lua"),
    "jitter": (0.4, f"{_TORCH} datasets/imagenet.lua: ColorJitter"),
    "pca_sigma": (0.1, f"{_TORCH} datasets/imagenet.lua: Lighting"),
    "normalise": ("channel", f"{_TORCH} datasets/imagenet.lua: mean and deviation"),
}


def cifar_views(where: str) -> Rows:
    """Pictures padded by 4 zeros each way, a random window of 32, mirrored."""
    return {
        "shift_px": (4, where),
        "border": ("zero", where),
        "mirror": (True, where),
    }


RESNET_IMAGENET = recipe(
    "resnet_imagenet",
    sgd("ResNet section 3.4"),
    {
        "batch": (256, "ResNet section 3.4"),
        "lr": (0.1, "ResNet section 3.4"),
        "iterations": (600000, "ResNet section 3.4: up to 60 x 10^4"),
        "schedule": (
            "plateau 0.1 patience 5 times 3",
            f"ResNet section 3.4: a tenth when the error plateaus. {PATIENCE}, three times",
        ),
        "validation": HELD_OUT,
        "weight_decay": (0.0001, "ResNet section 3.4"),
        "short_side": ((256, 480), "ResNet section 3.4"),
        "crop": (True, "ResNet section 3.4"),
        "mirror": (True, "ResNet section 3.4"),
        "pca_sigma": (0.1, "ResNet section 3.4: the colour augmentation of AlexNet section 4.1"),
        "normalise": ("pixel mean", "ResNet section 3.4"),
    },
)

RESNET_CIFAR = recipe(
    "resnet_cifar",
    sgd("ResNet section 4.2"),
    cifar_views("ResNet section 4.2"),
    {
        "batch": (128, "ResNet section 4.2"),
        "lr": (0.1, "ResNet section 4.2"),
        "iterations": (64000, "ResNet section 4.2"),
        "schedule": ("step 0.1 at 32000,48000 iterations", "ResNet section 4.2"),
        "weight_decay": (0.0001, "ResNet section 4.2"),
        "validation": (0.1, "ResNet section 4.2: 5,000 of CIFAR-10's 50,000"),
        "normalise": ("pixel mean", "ResNet section 4.2"),
    },
)

_AS_RESNET = "PreAct ResNet appendix: details as in ResNet section"
PREACT_CIFAR = recipe(
    "preact_cifar",
    sgd("PreAct ResNet appendix"),
    cifar_views("PreAct ResNet appendix"),
    {
        "batch": (128, "PreAct ResNet appendix"),
        "lr": (0.1, "PreAct ResNet appendix"),
        "warmup": ("400 iterations at 0.1", "PreAct ResNet appendix: 0.01 for 400 iterations"),
        "iterations": (64000, f"{_AS_RESNET} 4.2"),
        "schedule": ("step 0.1 at 32000,48000 iterations", "PreAct ResNet appendix"),
        "weight_decay": (0.0001, "PreAct ResNet appendix"),
        "normalise": (
            "pixel mean",
            f"{_AS_RESNET} 4.2; the released code, in Torch, has channels'",
        ),
    },
)

_SAME_VIEWS = "PreAct ResNet appendix: the augmentation of ResNet section"
PREACT_IMAGENET = recipe(
    "preact_imagenet",
    sgd("PreAct ResNet appendix"),
    {
        "batch": (256, "PreAct ResNet appendix"),
        "lr": (0.1, "PreAct ResNet appendix"),
        "epochs": (90, OURS + "the appendix names none; fb.resnet.torch, its code, trains 90"),
        "schedule": ("step 0.1 at 30,60 epochs", "PreAct ResNet appendix"),
        "weight_decay": (0.0001, "PreAct ResNet appendix"),
        "short_side": ((256, 480), "PreAct ResNet section 5"),
        "crop": (True, "PreAct ResNet section 5: 224 windows"),
        "mirror": (True, f"{_SAME_VIEWS} 3.4"),
        "pca_sigma": (0.1, f"{_SAME_VIEWS} 3.4, which has AlexNet's colours"),
        "normalise": ("pixel mean", f"{_AS_RESNET} 3.4"),
    },
)

WRN_CIFAR = recipe(
    "wrn_cifar",
    sgd("Wide ResNet section 3", nesterov=True),
    {
        "batch": (128, "Wide ResNet section 3"),
        "lr": (0.1, "Wide ResNet section 3"),
        "epochs": (200, "Wide ResNet section 3"),
        "schedule": ("step 0.2 at 60,120,160 epochs", "Wide ResNet section 3"),
        "weight_decay": (0.0005, "Wide ResNet section 3"),
        "shift_px": (4, "Wide ResNet section 3"),
        "border": ("reflect", "Wide ResNet section 3: missing pixels are reflections"),
        "mirror": (True, "Wide ResNet section 3"),
        "normalise": (
            "channel",
            "Wide ResNet section 3: mean and deviation in the later tables; earlier, ZCA",
        ),
        "options": ({}, "Wide ResNet Tables 4 and 5: without dropout"),
    },
)

WRN_IMAGENET = recipe(
    "wrn_imagenet",
    sgd("fb.resnet.torch train.lua", nesterov=True),
    TORCH_PHOTOGRAPHS,
    {
        "batch": (256, "fb.resnet.torch TRAINING.md"),
        "lr": (0.1, "fb.resnet.torch opts.lua"),
        "epochs": (90, "fb.resnet.torch opts.lua"),
        "schedule": ("step 0.1 at 30,60 epochs", "fb.resnet.torch train.lua"),
        "weight_decay": (0.0001, "fb.resnet.torch opts.lua"),
    },
)

_RESNEXT = "facebookresearch/ResNeXt"
_RESNEXT_NESTEROV = (True, f"{_RESNEXT} train.lua; the paper follows its code for the rest")
RESNEXT_IMAGENET = recipe(
    "resnext_imagenet",
    sgd("ResNeXt section 4"),
    TORCH_PHOTOGRAPHS,
    {
        "nesterov": _RESNEXT_NESTEROV,
        "batch": (256, "ResNeXt section 4"),
        "lr": (0.1, "ResNeXt section 4"),
        "epochs": (100, f"{_RESNEXT} opts.lua; section 4 names none"),
        "schedule": (
            "step 0.1 every 30 epochs",
            "ResNeXt section 4: three times a tenth, by the schedule of fb.resnet.torch",
        ),
        "weight_decay": (0.0001, "ResNeXt section 4"),
    },
)

RESNEXT_CIFAR = recipe(
    "resnext_cifar",
    sgd("ResNeXt appendix A"),
    cifar_views("ResNeXt appendix A: as ResNet section 4.2"),
    {
        "nesterov": _RESNEXT_NESTEROV,
        "batch": (128, "ResNeXt appendix A; an earlier version of the paper has 256"),
        "lr": (0.1, "ResNeXt appendix A"),
        "epochs": (300, "ResNeXt appendix A"),
        "schedule": ("step 0.1 at 150,225 epochs", "ResNeXt appendix A"),
        "weight_decay": (0.0005, "ResNeXt appendix A"),
        "normalise": ("channel", f"{_RESNEXT} datasets/cifar10.lua"),
        "validation": (0.0, "ResNeXt appendix A: all 50,000"),
    },
)

STOCHDEPTH_CIFAR = recipe(
    "stochdepth_cifar",
    sgd("Stochastic depth section 4", nesterov=True),
    cifar_views("Stochastic depth section 4"),
    {
        "batch": (128, "Stochastic depth section 4"),
        "lr": (0.1, "Stochastic depth section 4"),
        "epochs": (500, "Stochastic depth section 4"),
        "schedule": ("step 0.1 at 250,375 epochs", "Stochastic depth section 4"),
        "weight_decay": (0.0001, "Stochastic depth section 4"),
        "validation": (0.1, "Stochastic depth section 4: 5,000 of CIFAR's 50,000"),
        "tested": (
            "best",
            "Stochastic depth section 4; yueatsprograms/Stochastic_Depth readme: selected by best "
            "validation error",
        ),
        "normalise": (
            "pixel mean",
            "yueatsprograms/Stochastic_Depth cifar-dataset.lua: of what is trained on; all are "
            "divided by one number too",
        ),
    },
)

STOCHDEPTH_1202 = changed(
    "stochdepth_1202",
    STOCHDEPTH_CIFAR,
    {
        "epochs": (300, "Stochastic depth section 4"),
        "warmup": ("10 epochs at 0.1", "Stochastic depth section 4: 0.01 for 10 epochs, then 0.1"),
        "schedule": ("step 0.1 at 150,225 epochs", "Stochastic depth section 4"),
    },
)

RESIDUAL = (
    RESNET_IMAGENET,
    RESNET_CIFAR,
    PREACT_CIFAR,
    PREACT_IMAGENET,
    WRN_CIFAR,
    WRN_IMAGENET,
    RESNEXT_IMAGENET,
    RESNEXT_CIFAR,
    STOCHDEPTH_CIFAR,
    STOCHDEPTH_1202,
)
