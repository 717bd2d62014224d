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
LENET5 = (
    "figure 3 prints the centres' bitmaps as pictures: they are drawn after it",
    "biases, of which the paper is silent, are drawn as the weights of their unit",
    "class k from 10 on, which the paper has not, has the first 84 bits of SHA-256 of the decimal "
    "number k as its centre; fewer than ten classes take the first digits'",
)
LENET_CAFFE = ("not LeNet-5: Caffe's example, 20 and 50 maps, max pooling, softmax",)
_ALEXNET_INPUT = "the paper prints a 224 picture; its 55x55 maps behind conv1 need 227, taken here"
ALEXNET_2GPU = (
    _ALEXNET_INPUT,
    "each tower normalises its own maps; the paper does not say whether the sum crosses the towers",
)
ALEXNET_UNGROUPED = (
    _ALEXNET_INPUT,
    "one tower: conv2, conv4 and conv5 see all maps; no paper has this network, but its count is "
    "the one that tutorials print as AlexNet's",
)
ALEXNET_OWT = (
    "conv4 has the 384 kernels of the paper's footnote; torchvision has 256, as cuda-convnet2",
    "conv1 is padded by 2 to give 55x55 maps at 224; cuda-convnet2 pads 0 and rounds up",
    "normalisation, initial values and dropout, of which the paper is silent, are AlexNet's; "
    "cuda-convnet2 keeps the normalisation, torchvision has none",
)
ZFNET = (
    "padding is not printed: 1 at conv1, pool1 and pool2, 0 at conv2 and pool5 give the printed "
    "sides",
    "the contrast normalisation has AlexNet's constants; the paper prints none",
    "the paper starts all weights from 10^-2, read as deviation 0.01 of a normal law",
)
NIN_CIFAR = ("widths and initial values are those of the authors' cuda-convnet configuration",)
NIN_IMAGENET = ("not in the paper: the authors' later Caffe model, nin_imagenet, at 227",)
VGG_DEEPER = (
    "all layers are drawn from N(0, variance 10^-2); the paper starts the first four convolutions "
    "and the three FC layers from a trained net A",
)
VGG_32PX = (
    "head: one fully connected layer on the 1x1 maps behind pool5 takes the place of FC-4096, "
    "FC-4096, FC-1000 and their dropout",
    "He's initial values (normal, fan-in, biases 0) in place of N(0, variance 10^-2)",
)
GOOGLENET = (
    "initial values, of which the paper is silent, are those of Caffe's replica: its xavier, "
    "biases 0.2, and 0 in the last layer",
    "the normalisations have AlexNet's constants; the paper prints none",
    "Table 1 prints 2.7K weights for the 7x7 convolution, which has 9.4K; 4c and 5a have the "
    "widths printed, not the counts",
)
INCEPTION = ("the widths are the usual lecture's example (cs231n); the paper's figure has none",)
GOOGLENET_32PX = (
    "stem: conv1 is 3x3 with stride 1 in place of 7x7 with stride 2, and both normalisations are "
    "left out, so that inception 3a sees 8x8",
    "head: 10 classes, and the average is over the 2x2 maps of inception 5b in place of 7x7",
    "He's initial values (normal, fan-in, biases 0)",
)
