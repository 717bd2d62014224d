"""Words of the ledger's recipes that are no field of ours, and why."""

from __future__ import annotations

_NETWORK = "the network's own: its builder has it (`convarium show NETWORK`)"
_REPORT = "how the paper reports, not how it trains"
_ANY = "of the paper's machines; the recipe trains on any"
_DETECTOR = "of a detector; the fields of `detection` have it"
# Of a network without a recipe of its paper: what the ledger knows of its training all the same.
INSTEAD = {
    "stochastic_depth_152_imagenet": "its authors trained it by fb.resnet.torch at batch 128, "
    "whose values are --recipe wrn_imagenet --set batch=128",
}
# Of every recipe, by the ledger's field.
ALWAYS = {
    "id": "the recipe's name",
    "source": "shown beside the fields, each of which has its own",
    "confidence": "in the sources, as `(from memory)`",
    "init": _NETWORK,
    "activation": _NETWORK,
    "dropout": _NETWORK,
    "lrn": _NETWORK,
    "bn": _NETWORK,
    "survival": _NETWORK,
    "drop_path": _NETWORK,
    "shortcut": _NETWORK,
    "hardware": _ANY,
    "report": _REPORT,
    "test": "a test protocol, not training",
    "dataset": "given by --data",
}
NEVER_TOLD = ("id", "source", "confidence", "hardware")  # shown on their own
# Of one recipe: (recipe, the ledger's field).
OF_ONE = {
    ("lenet_mnist", "augmentation"): "optional in the paper; its .95 % is without",
    (
        "alexnet_caffe",
        "init",
    ): "biases of 0.1 in place of 1 are not built, nor 0.005 in fc6 and fc7",
    ("alexnet_imagenet", "augmentation"): "the 2048 views are the windows and their mirrors",
    ("zfnet_imagenet", "augmentation"): "ten fixed windows in the paper, random ones here",
    ("resnet_cifar", "extra"): "of one network: resnet110_cifar's own rows have its warm-up",
    ("preact_cifar", "extra"): "results at batch 64, which --set batch=64 trains",
    ("wrn_cifar", "dropout"): "wrn_cifar_dropout and wrn_svhn have it",
    ("wrn_cifar", "svhn"): "wrn_svhn has it",
    ("wrn_imagenet", "based_on"): "in the sources",
    ("resnext_cifar", "note"): "an earlier version of the paper; --set batch=256 trains it",
    ("fractal_cifar", "epochs_svhn"): "fractal_svhn has it",
    ("stochdepth_cifar", "svhn"): "stochdepth_svhn has it",
    ("densenet_cifar", "epochs_svhn"): "densenet_svhn has it",
    ("densenet_cifar", "dropout"): "densenet_cifar_plain has it",
    ("googlenet_imagenet", "optimizer"): "steps of many machines at their own pace are not built",
    ("googlenet_imagenet", "augmentation"): "one interpolation, where the paper draws it",
    ("googlenet_caffe_quick", "epochs_original_policy"): "googlenet_imagenet's length",
    ("mobilenet_imagenet", "optimizer"): "steps of many machines at their own pace are not built",
    ("mobilenet_imagenet", "no"): "no side heads and no label smoothing: there is nothing to carry",
    ("vgg_imagenet", "schedule"): "S = 384 starts from S = 256, by --set: see docs/recipes.md",
    ("yolov1_voc", "dropout"): "of the detector's head, which is not built",
    ("fastrcnn_voc", "schedule"): "longer for VOC07+12 without a number",
    **{
        (name, field): _DETECTOR
        for name, words in {
            "yolov1_voc": "augmentation loss pretrain",
            "yolov2_voc": "schedule pretrain multi_scale anchors",
            "yolov3_coco": "augmentation loss anchors",
            "fastrcnn_voc": "batch sampling init augmentation loss proposals",
        }.items()
        for field in words.split()
    },
}
# The ledger's field: the fields of ours that carry it.
CARRIED = {
    "optimizer": "optimizer momentum nesterov",
    "epochs": "epochs",
    "lr_schedule": "lr schedule",
    "lr": "lr warmup schedule",
    "schedule": "lr warmup schedule",
    "batch": "batch",
    "max_iter": "iterations epochs",
    "max_batches": "iterations",
    "burn_in": "warmup",
    "weight_decay": "weight_decay decay_on",
    "loss": "loss",
    "aux_loss_weight": "aux_weight",
    "augmentation": "shift_px border mirror crop short_side area aspect pca_sigma jitter normalise",
    "split": "validation tested",
    "extra": "max_filter_rms",
    "init": "init init_from init_convolutions",
}


def why_not(recipe: str, field: str) -> str | None:
    """Why a field of the ledger's entry, or a part of it, is not carried; None where all is."""
    return OF_ONE.get((recipe, field)) or (
        None if field in CARRIED and field != "init" else ALWAYS.get(field)
    )
