"""Recipes before batch norm: LeNet-5 to GoogLeNet, and SqueezeNet, which has none either."""

from __future__ import annotations

from convarium.recipes.papers.table import HELD_OUT, OURS, PATIENCE, Rows, recipe, sgd

_CAFFE = "BVLC/caffe models/"
_BIASES = "biases go twice as fast there (lr_mult 2), not here"
_ALEXNET_CROPS: Rows = {
    "short_side": ((256, 256), "AlexNet section 2: the short side is 256"),
    "crop": (True, "AlexNet section 4.1: random 224 windows"),
    "mirror": (True, "AlexNet section 4.1"),
    "normalise": ("pixel mean", "AlexNet section 2: less the mean of each pixel"),
}
_ALEXNET_COLOUR: Rows = {"pca_sigma": (0.1, "AlexNet section 4.1")}

_TOO_FAST = "No training from our first values bears them: see lenet_mnist_tenth"
LENET_MNIST = recipe(
    "lenet_mnist",
    {
        "optimizer": ("sdlm", "LeNet-5 appendix C: stochastic diagonal Levenberg-Marquardt"),
        "momentum": (0.0, "LeNet-5 appendix C: none"),
        "epochs": (20, "LeNet-5 section III.B"),
        "lr": (0.0005, f"LeNet-5 section III.B: the first two passes. {_TOO_FAST}"),
        "schedule": (
            "rates 0.0005 0.0002 0.0001 5e-05 1e-05 at 2,5,8,12 epochs",
            "LeNet-5 section III.B: two, three, three, four and the last eight passes",
        ),
        "batch": (1, "LeNet-5 appendix C: an update after each pattern"),
        "loss": ("map", "LeNet-5 section II.C, equation 9; equation 8 is the mean squared error"),
        "normalise": ("lenet", "LeNet-5 section II.B: background -0.1, foreground 1.175"),
    },
)

ALEXNET_IMAGENET = recipe(
    "alexnet_imagenet",
    sgd("AlexNet section 5"),
    _ALEXNET_CROPS,
    _ALEXNET_COLOUR,
    {
        "batch": (128, "AlexNet section 5"),
        "lr": (0.01, "AlexNet section 5"),
        "epochs": (90, "AlexNet section 5: roughly 90 cycles"),
        "weight_decay": (0.0005, "AlexNet section 5"),
        "schedule": (
            "plateau 0.1 patience 5 times 3",
            f"AlexNet section 5: a tenth, three times. {PATIENCE}",
        ),
        "validation": HELD_OUT,
    },
)

ALEXNET_CAFFE = recipe(
    "alexnet_caffe",
    sgd(_CAFFE + "bvlc_alexnet solver.prototxt"),
    {
        "batch": (256, _CAFFE + "bvlc_alexnet train_val.prototxt"),
        "lr": (0.01, _CAFFE + f"bvlc_alexnet solver.prototxt; {_BIASES}"),
        "iterations": (450000, _CAFFE + "bvlc_alexnet solver.prototxt"),
        "schedule": (
            "step 0.1 every 100000 iterations",
            _CAFFE + "bvlc_alexnet solver.prototxt",
        ),
        "weight_decay": (0.0005, _CAFFE + "bvlc_alexnet solver.prototxt"),
        "decay_on": (
            "weights",
            _CAFFE + "bvlc_alexnet train_val.prototxt: decay_mult of biases is 0",
        ),
        "short_side": ((256, 256), OURS + "Caffe's tools shrink both sides to 256"),
        "crop": (True, _CAFFE + "bvlc_alexnet train_val.prototxt: crop_size"),
        "mirror": (True, _CAFFE + "bvlc_alexnet train_val.prototxt"),
        "normalise": ("pixel mean", _CAFFE + "bvlc_alexnet train_val.prototxt: mean_file"),
        "pca_sigma": (0.0, _CAFFE + "bvlc_alexnet readme: no relighting"),
    },
)

OWT_IMAGENET = recipe(
    "owt_imagenet",
    sgd("One weird trick section 5"),
    _ALEXNET_CROPS,
    {
        "batch": (128, "One weird trick section 5"),
        "lr": (0.01, "One weird trick section 5"),
        "epochs": (90, "One weird trick section 5"),
        "schedule": (
            f"step {250 ** (-1 / 3):.15g} at 22.5,45,67.5 epochs",
            "One weird trick section 5: 250^(-1/3) at 25, 50 and 75 % of training",
        ),
        "weight_decay": (0.0005, "One weird trick section 5"),
        "loss": ("logistic", "One weird trick section 5: 1000 independent logistic units"),
    },
    recalled=True,
)

ZFNET_IMAGENET = recipe(
    "zfnet_imagenet",
    sgd("ZFNet section 3"),
    _ALEXNET_CROPS,
    {
        "batch": (128, "ZFNet section 3"),
        "lr": (0.01, "ZFNet section 3"),
        "epochs": (70, "ZFNet section 3"),
        "schedule": (
            "plateau 0.1 patience 5 times 3",
            f"ZFNet section 3: annealed by hand when the error plateaus. {PATIENCE}",
        ),
        "validation": HELD_OUT,
        "max_filter_rms": (0.1, "ZFNet section 3"),
        "short_side": ((256, 256), "ZFNet section 3"),
        "crop": (
            True,
            OURS + "section 3 has ten fixed windows, corners and centre, mirrored; ours is random",
        ),
        "mirror": (True, "ZFNet section 3"),
        "normalise": ("pixel mean", "ZFNet section 3"),
    },
)

_NIN_PARAMS = "mavenlin/cuda-convnet NIN/cifar-100_params"
NIN_CIFAR = recipe(
    "nin_cifar",
    sgd("NiN section 4.1, as AlexNet"),
    {
        "batch": (128, "NiN section 4.1"),
        "lr": (
            0.02,
            OURS + f"section 4.1 sets it by hand; {_NIN_PARAMS} has 0.01 on a loss counted twice",
        ),
        "epochs": (200, OURS + "section 4.1 trains until the accuracy stands still"),
        "schedule": (
            "plateau 0.1 patience 10 times 2",
            "NiN section 4.1: a tenth, twice; the patience is our choice",
        ),
        "validation": (0.2, "NiN section 4.1: 10,000 of CIFAR's 50,000"),
        "weight_decay": (
            0.0005,
            OURS + f"section 4.1 tunes it; {_NIN_PARAMS} has 0.001 on a loss counted twice",
        ),
        "normalise": (
            "gcn zca",
            "NiN section 4.1: as maxout networks, whose script in pylearn2 measures it on all "
            "50,000",
        ),
    },
    recalled=True,
)

VGG_IMAGENET = recipe(
    "vgg_imagenet",
    sgd("VGG section 3.1"),
    {
        "batch": (256, "VGG section 3.1"),
        "lr": (0.01, "VGG section 3.1"),
        "epochs": (74, "VGG section 3.1: 370,000 iterations, which are 74 epochs"),
        "schedule": (
            "plateau 0.1 patience 5 times 3",
            f"VGG section 3.1: a tenth, three times. {PATIENCE}",
        ),
        "validation": HELD_OUT,
        "weight_decay": (0.0005, "VGG section 3.1"),
        "short_side": ((256, 256), "VGG section 3.1: S = 256, where the other scales start from"),
        "crop": (True, "VGG section 3.1"),
        "mirror": (True, "VGG section 3.1"),
        "pca_sigma": (0.1, "VGG section 3.1: the RGB shift of AlexNet section 4.1"),
        "normalise": ("channel mean", "VGG section 2.1: less the mean RGB value"),
    },
)

_QUICK = _CAFFE + "bvlc_googlenet quick_solver.prototxt"
_GOOGLENET_DATA = _CAFFE + "bvlc_googlenet train_val.prototxt"
GOOGLENET_IMAGENET = recipe(
    "googlenet_imagenet",
    sgd("GoogLeNet section 6"),
    {
        "batch": (32, OURS + f"section 6 names none; {_GOOGLENET_DATA} has it"),
        "lr": (0.01, OURS + f"section 6 names none; {_CAFFE}bvlc_googlenet solver.prototxt has it"),
        "epochs": (250, OURS + f"section 6 names none; {_CAFFE}bvlc_googlenet readme has it"),
        "schedule": ("step 0.96 every 8 epochs", "GoogLeNet section 6: 4 % less every 8 epochs"),
        "weight_decay": (
            0.0002,
            OURS + f"section 6 names none; {_CAFFE}bvlc_googlenet solver.prototxt has it",
        ),
        "average": (0.9999, "GoogLeNet section 6: Polyak averaging; the share is our choice"),
        "aux_weight": (0.3, "GoogLeNet section 5"),
        "area": ((0.08, 1.0), "GoogLeNet section 6: 8 to 100 % of the picture"),
        "aspect": ((3 / 4, 4 / 3), "GoogLeNet section 6"),
        "crop": (True, "GoogLeNet section 6"),
        "mirror": (True, OURS + "section 6 follows Howard, who mirrors"),
        "jitter": (0.4, "GoogLeNet section 6: photometric distortions; the share is our choice"),
        "normalise": ("channel mean", "GoogLeNet section 5: less the mean RGB value"),
    },
)

GOOGLENET_CAFFE_QUICK = recipe(
    "googlenet_caffe_quick",
    sgd(_QUICK),
    {
        "batch": (32, _GOOGLENET_DATA),
        "lr": (0.01, f"{_QUICK}; {_BIASES}"),
        "iterations": (2400000, _QUICK),
        "schedule": ("poly 0.5", _QUICK),
        "weight_decay": (0.0002, _QUICK),
        "decay_on": ("weights", _GOOGLENET_DATA + ": decay_mult of biases is 0"),
        "aux_weight": (0.3, "GoogLeNet section 5"),
        "init": (
            "paper",
            _CAFFE + "bvlc_googlenet readme: xavier, which GoogLeNet here starts from",
        ),
        "crop": (True, _GOOGLENET_DATA + ": crop_size"),
        "short_side": ((256, 256), OURS + "Caffe's tools shrink both sides to 256"),
        "mirror": (True, _GOOGLENET_DATA),
        "normalise": ("channel mean", _GOOGLENET_DATA + ": mean_value"),
    },
)

_SQUEEZENET = "forresti/SqueezeNet v1.0 solver.prototxt"
SQUEEZENET_IMAGENET = recipe(
    "squeezenet_imagenet",
    sgd(_SQUEEZENET),
    {
        "batch": (512, _SQUEEZENET),
        "lr": (0.04, _SQUEEZENET),
        "iterations": (170000, _SQUEEZENET),
        "schedule": ("poly 1", _SQUEEZENET + ": linear to 0"),
        "weight_decay": (0.0002, _SQUEEZENET),
        "crop": (True, "forresti/SqueezeNet v1.0 train_val.prototxt: crop_size"),
        "short_side": ((256, 256), OURS + "Caffe's tools shrink both sides to 256"),
        "mirror": (False, "forresti/SqueezeNet v1.0 train_val.prototxt has none"),
        "normalise": ("channel mean", "forresti/SqueezeNet v1.0 train_val.prototxt: mean_value"),
    },
)

EARLY = (
    LENET_MNIST,
    ALEXNET_IMAGENET,
    ALEXNET_CAFFE,
    OWT_IMAGENET,
    ZFNET_IMAGENET,
    NIN_CIFAR,
    VGG_IMAGENET,
    GOOGLENET_IMAGENET,
    GOOGLENET_CAFFE_QUICK,
    SQUEEZENET_IMAGENET,
)
