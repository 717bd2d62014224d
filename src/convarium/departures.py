"""How networks of the catalog differ from their papers' words, and what was chosen in silence.

The catalog's rows name these; each sentence is shown to users as it stands.
"""

from __future__ import annotations

FRACTALNET = (
    "convolutions have biases and dropout stands between convolution and batch norm, as in the "
    "authors' released generator",
    "pooling behind the last join, as in figure 1; the released generator pools each column first",
    "Xavier is Caffe's filler: the fan-in alone",
)
DENSENET = (
    "He's initial values by fan-out, the classifier's as Torch's default: the authors' code",
)
DENSENET_CIFAR = (
    *DENSENET,
    "no dropout, as for the augmented data sets; the paper's 0.2 without augmentation is the "
    "option dropout=0.2",
)
SQUEEZENET = (
    "Table 1 prints a 224x224 input; its 111x111 needs 227x227, as in the authors' code",
    "conv10 without padding, as Table 1's 13x13; the authors' v1.0 pads it by 1",
    "initial values of the authors' code: Caffe's xavier, conv10 from N(0, 0.01^2)",
)
BYPASS = "the bypass is added behind the ReLUs of the expand layers, with no ReLU after it"
MOBILENET = (
    "the last depthwise convolution has stride 1; Table 1 prints 2 and keeps 7x7",
    "stride-2 convolutions pad both sides by 1; TensorFlow's SAME pads the right and bottom alone",
    "ReLU as printed; the authors' code has ReLU6, and dropout 0.001 that the paper has not",
    "initial values and epsilon 1e-3 of the authors' code: N(0, 0.09^2) cut off at 2 deviations",
)
DARKNET = (
    "the authors' code normalises by sqrt(variance + 1e-5) on the GPU, as here, and by "
    "sqrt(variance) + 1e-6 on the CPU",
    "initial values of the authors' code: N(0, 2 / fan-in), biases 0",
)
FRACTALNET_40 = (
    "widths are printed nowhere; 32-64-128-256-256 keeps the stated rule (doubled at each pooling "
    "but the last) and is the nearest to the 22.9M parameters quoted for it",
    *FRACTALNET,
)
FRACTALNET_34 = (
    "the stem and the widths 128-256-512-1024 are recalled, not read; the paper's first and last "
    "layers are ResNet-34's",
    "no dropout: the paper's words on it here were not at hand",
    *FRACTALNET,
)
DENSENET_264 = ("by the rule that counts the others right this one has 265 layers", *DENSENET)
DENSENET_161 = ("k=48, of the authors' code and readme: not in Table 1", *DENSENET)
DENSENET_PLAIN_CIFAR = (
    *DENSENET_CIFAR,
    "16 filters in the first convolution; the authors' later code has 2k",
)
SQUEEZENET_SIMPLE = (*SQUEEZENET, f"{BYPASS}, as in the authors' residual network")
SQUEEZENET_COMPLEX = (
    *SQUEEZENET,
    f"{BYPASS}; the 1x1 convolutions have biases and no ReLU: the paper is silent",
)
SQUEEZENET_1_1 = ("not in the paper: version 1.1 of the authors' code",)
SQUEEZENET_32PX = (
    "version 1.1 with another stem: conv1 at stride 1, padded by 1, so that 32x32 stays 32x32",
    "head: 10 classes",
    "He's initial values (normal, fan-in, biases 0) in every convolution",
)
MOBILENET_FULL_CONV = MOBILENET[1:]
MOBILENET_32PX = (
    "stem: conv1 at stride 1, so that 32x32 ends as 2x2",
    "head: 10 classes",
    *MOBILENET,
)
EXTRACTION = (
    "extraction.cfg's head, a leaky 1x1 convolution and then the pooling; YOLO's section 2.2 has "
    "the pooling first and a fully connected layer",
    *DARKNET,
)
