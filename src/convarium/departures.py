"""How networks of the catalog differ from their papers' words, and what was chosen in silence.

Each sentence is shown to users as it stands, for the networks whose names match a pattern.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

DEPARTURES: tuple[tuple[str, str], ...] = (
    (
        "lenet5",
        "Figure 3 prints the centres' bitmaps as pictures: they are drawn after it.",
    ),
    (
        "lenet5",
        "Biases, of which the paper is silent, are drawn as the weights of their unit.",
    ),
    (
        "lenet5",
        "Class k from 10 on, which the paper has not, has the first 84 bits of SHA-256 of the"
        " decimal number k as its centre; fewer than ten classes take the first digits'.",
    ),
    (
        "lenet_caffe",
        "Not LeNet-5: Caffe's example, 20 and 50 maps, max pooling, softmax.",
    ),
    (
        "alexnet_2gpu alexnet_ungrouped",
        "The paper prints a 224 picture; its 55x55 maps behind conv1 need 227, taken here.",
    ),
    (
        "alexnet_2gpu",
        "Each tower normalises its own maps; the paper does not say whether the sum crosses "
        "the towers.",
    ),
    (
        "alexnet_ungrouped",
        "One tower: conv2, conv4 and conv5 see all maps; no paper has this network, but its "
        "count is the one that tutorials print as AlexNet's.",
    ),
    (
        "alexnet_owt",
        "conv4 has the 384 kernels of the paper's footnote; torchvision has 256, as cuda-convnet2.",
    ),
    (
        "alexnet_owt",
        "conv1 is padded by 2 to give 55x55 maps at 224; cuda-convnet2 pads 0 and rounds up.",
    ),
    (
        "alexnet_owt",
        "Normalisation, initial values and dropout, of which the paper is silent, are "
        "AlexNet's; cuda-convnet2 keeps the normalisation, torchvision has none.",
    ),
    (
        "zfnet",
        "Padding is not printed: 1 at conv1, pool1 and pool2, 0 at conv2 and pool5 give the "
        "printed sides.",
    ),
    (
        "zfnet",
        "The contrast normalisation has AlexNet's constants; the paper prints none.",
    ),
    (
        "zfnet",
        "The paper starts all weights from 10^-2, read as deviation 0.01 of a normal law.",
    ),
    (
        "nin_cifar10 nin_cifar100",
        "Widths and initial values are those of the authors' cuda-convnet configuration.",
    ),
    (
        "nin_imagenet",
        "Not in the paper: the authors' later Caffe model, nin_imagenet, at 227.",
    ),
    (
        "vgg_b vgg_c vgg_d vgg_e",
        "All layers are drawn from N(0, variance 10^-2); the paper starts the first four "
        "convolutions and the three FC layers from a trained net A.",
    ),
    (
        "vgg_a_32px",
        "Head: one fully connected layer on the 1x1 maps behind pool5 takes the place of "
        "FC-4096, FC-4096, FC-1000 and their dropout.",
    ),
    (
        "vgg_a_32px",
        "He's initial values (normal, fan-in, biases 0) in place of N(0, variance 10^-2).",
    ),
    (
        "googlenet googlenet_aux",
        "Initial values, of which the paper is silent, are those of Caffe's replica: its "
        "xavier, biases 0.2, and 0 in the last layer.",
    ),
    (
        "googlenet googlenet_aux",
        "The normalisations have AlexNet's constants; the paper prints none.",
    ),
    (
        "googlenet googlenet_aux",
        "Table 1 prints 2.7K weights for the 7x7 convolution, which has 9.4K; 4c and 5a have "
        "the widths printed, not the counts.",
    ),
    (
        "inception_*",
        "The widths are the usual lecture's example (cs231n); the paper's figure has none.",
    ),
    (
        "googlenet_32px",
        "Stem: conv1 is 3x3 with stride 1 in place of 7x7 with stride 2, and both "
        "normalisations are left out, so that inception 3a sees 8x8.",
    ),
    (
        "googlenet_32px",
        "Head: 10 classes, and the average is over the 2x2 maps of inception 5b in place of 7x7.",
    ),
    (
        "googlenet_32px",
        "He's initial values (normal, fan-in, biases 0).",
    ),
    (
        "plain18 plain34 resnet??_[abc] resnet50 resnet101 resnet152",
        "Paper silent on pool1's border: one pixel all round; the authors' models, the far "
        "side only.",
    ),
    (
        "plain* resnet* stochastic_depth_*",
        "Paper silent on the values that fc starts from: He normal with fan-in, as for "
        "convolutions.",
    ),
    (
        "resnet*_a resnet*_cifar preact_resnet110",
        "Paper silent on where option A puts its zero channels: half before, half after.",
    ),
    (
        "resnet50 resnet101 resnet152",
        "Table 1 leaves open which layer has stride 2: the first 1x1, as in the authors' models.",
    ),
    (
        "resnet*_v1_5",
        "Not in the paper: stride 2 in the 3x3, as in fb.resnet.torch and torchvision.",
    ),
    (
        "preact_resnet110",
        "Paper silent on what option A pads in a pre-activation unit: x, before its activation.",
    ),
    (
        "preact_resnet* wrn_* resnext*",
        "Paper silent on fan-in or fan-out of He's initial values: fan-in; the authors' code: out.",
    ),
    (
        "preact_resnet18",
        "Not in the paper: 18 layers.",
    ),
    (
        "preact_resnet18 preact_resnet152 preact_resnet200",
        "Paper silent on the stem: BN and ReLU after conv1, then max pooling, then each "
        "unit's own BN.",
    ),
    (
        "wrn_*_bottleneck",
        "Paper silent on the stride's place: the 3x3, as in fb.resnet.torch.",
    ),
    (
        "wrn_101_2_bottleneck",
        "Not in the paper: torchvision's addition.",
    ),
    (
        "stochastic_depth_110 stochastic_depth_152_svhn stochastic_depth_1202",
        "Paper silent on where the zero channels stand: behind, as in the authors' code.",
    ),
    (
        "stochastic_depth_110 stochastic_depth_152_svhn stochastic_depth_1202",
        "The authors' code gives convolutions a bias; before a batch norm it trains to nothing.",
    ),
    (
        "stochastic_depth_152_svhn",
        "Paper silent on the filters at 152 layers: 16, 32, 64, as at 110; 3 x 25 blocks are "
        "its own.",
    ),
    (
        "stochastic_depth_152_imagenet",
        "Stride 2 in the 3x3: the paper trains fb.resnet.torch's ResNet-152.",
    ),
    (
        "fractalnet*",
        "convolutions have biases and dropout stands between convolution and batch norm, as "
        "in the authors' released generator.",
    ),
    (
        "fractalnet*",
        "Pooling behind the last join, as in figure 1; the released generator pools each "
        "column first.",
    ),
    (
        "fractalnet*",
        "Xavier is Caffe's filler: the fan-in alone.",
    ),
    (
        "fractalnet40_c4_cifar",
        "Widths are printed nowhere; 32-64-128-256-256 keeps the stated rule (doubled at each"
        " pooling but the last) and is the nearest to the 22.9M parameters quoted for it.",
    ),
    (
        "fractalnet34_c4_imagenet",
        "The stem and the widths 128-256-512-1024 are recalled, not read; the paper's first "
        "and last layers are ResNet-34's.",
    ),
    (
        "fractalnet34_c4_imagenet",
        "No dropout: the paper's words on it here were not at hand.",
    ),
    (
        "densenet*",
        "He's initial values by fan-out, the classifier's as Torch's default: the authors' code.",
    ),
    (
        "densenet264",
        "By the rule that counts the others right this one has 265 layers.",
    ),
    (
        "densenet161",
        "k=48, of the authors' code and readme: not in Table 1.",
    ),
    (
        "densenet_*_cifar",
        "No dropout, as for the augmented data sets; the paper's 0.2 without augmentation is "
        "the option dropout=0.2.",
    ),
    (
        "densenet_[14]*_cifar",
        "16 filters in the first convolution, as section 3 has it; the authors' later code has 2k.",
    ),
    (
        "squeezenet1_0 squeezenet_*_bypass",
        "Table 1 prints a 224x224 input; its 111x111 needs 227x227, as in the authors' code.",
    ),
    (
        "squeezenet1_0 squeezenet_*_bypass",
        "conv10 without padding, as Table 1's 13x13; the authors' v1.0 pads it by 1.",
    ),
    (
        "squeezenet1_0 squeezenet_*_bypass",
        "Initial values of the authors' code: Caffe's xavier, conv10 from N(0, 0.01^2).",
    ),
    (
        "squeezenet_simple_bypass",
        "The bypass is added behind the ReLUs of the expand layers, with no ReLU after it, as"
        " in the authors' residual network.",
    ),
    (
        "squeezenet_complex_bypass",
        "The bypass is added behind the ReLUs of the expand layers, with no ReLU after it; "
        "the 1x1 convolutions have biases and no ReLU: the paper is silent.",
    ),
    (
        "squeezenet1_1",
        "Not in the paper: version 1.1 of the authors' code.",
    ),
    (
        "squeezenet_32px",
        "Version 1.1 with another stem: conv1 at stride 1, padded by 1, so that 32x32 stays 32x32.",
    ),
    (
        "squeezenet_32px mobilenet_v1_050_32px",
        "Head: 10 classes.",
    ),
    (
        "squeezenet_32px",
        "He's initial values (normal, fan-in, biases 0) in every convolution.",
    ),
    (
        "mobilenet_v1_[01]* mobilenet_v1_shallow",
        "The last depthwise convolution has stride 1; Table 1 prints 2 and keeps 7x7.",
    ),
    (
        "mobilenet_*",
        "Stride-2 convolutions pad both sides by 1; TensorFlow's SAME pads the right and "
        "bottom alone.",
    ),
    (
        "mobilenet_*",
        "ReLU as printed; the authors' code has ReLU6, and dropout 0.001 that the paper has not.",
    ),
    (
        "mobilenet_*",
        "Initial values and epsilon 1e-3 of the authors' code: N(0, 0.09^2) cut off at 2 "
        "deviations.",
    ),
    (
        "mobilenet_v1_050_32px",
        "Stem: conv1 at stride 1, so that 32x32 ends as 2x2.",
    ),
    (
        "darknet* extraction",
        "The authors' code normalises by sqrt(variance + 1e-5) on the GPU, as here, and by "
        "sqrt(variance) + 1e-6 on the CPU.",
    ),
    (
        "darknet* extraction",
        "Initial values of the authors' code: N(0, 2 / fan-in), biases 0.",
    ),
    (
        "extraction",
        "Extraction.cfg's head, a leaky 1x1 convolution and then the pooling; YOLO's section "
        "2.2 has the pooling first and a fully connected layer.",
    ),
)


def departures_of(name: str) -> tuple[str, ...]:
    """The sentences that apply to the network called `name`, in the order of the table.

    >>> departures_of("squeezenet1_1")
    ("Not in the paper: version 1.1 of the authors' code.",)
    """
    return tuple(
        sentence
        for patterns, sentence in DEPARTURES
        if any(fnmatchcase(name, pattern) for pattern in patterns.split())
    )
