"""Recipes of the detectors, as far as a recipe goes; `detection` has what only they have.

Training a detector is not part of this version: `find_recipe` says so.
"""

from __future__ import annotations

from convarium.recipes.papers.table import recipe, sgd

_YOLO1 = "YOLO section 2.2"
YOLOV1_VOC = recipe(
    "yolov1_voc",
    sgd(_YOLO1),
    {
        "batch": (64, _YOLO1),
        "lr": (0.01, _YOLO1),
        "epochs": (135, _YOLO1),
        "warmup": (
            "1 epochs from 0.1",
            f"{_YOLO1}: from 0.001 to 0.01 over the first epochs; one epoch is our choice",
        ),
        "schedule": (
            "step 0.1 at 75,105 epochs",
            f"{_YOLO1}: 0.01 for 75 epochs, 0.001 for 30, 0.0001 for 30",
        ),
        "weight_decay": (0.0005, _YOLO1),
        "detection": (
            {
                "scale_and_translate": 0.2,
                "exposure_and_saturation": 1.5,
                "lambda_coord": 5.0,
                "lambda_noobj": 0.5,
                "loss": "sum-squared, square roots of width and height",
                "pretrained_convolutions": 20,
                "pretraining_side": 224,
                "pretraining_top5": 0.88,
            },
            _YOLO1,
        ),
    },
)

_YOLO2 = "YOLO9000 section 3"
YOLOV2_VOC = recipe(
    "yolov2_voc",
    sgd(_YOLO2),
    {
        "batch": (64, "pjreddie/darknet cfg/yolo-voc.cfg; the paper names none"),
        "lr": (0.001, _YOLO2),
        "epochs": (160, _YOLO2),
        "schedule": ("step 0.1 at 60,90 epochs", _YOLO2),
        "weight_decay": (0.0005, _YOLO2),
        "detection": (
            {
                "voc_iterations": 80200,
                "voc_steps": (40000, 60000),
                "coco_iterations": 500200,
                "coco_steps": (400000, 450000),
                "sides": (320, 608),
                "sides_step": 32,
                "batches_a_side": 10,
                "anchors": 5,
                "anchor_distance": "1 - IoU",
                "fine_tuning_side": 448,
                "fine_tuning_epochs": 10,
                "fine_tuning_lr": 0.001,
                "classifier": "darknet19_imagenet",
            },
            "YOLO9000 sections 2 and 3; darknet's cfg files",
        ),
    },
)

_YOLO3 = "pjreddie/darknet cfg/yolov3.cfg"
YOLOV3_COCO = recipe(
    "yolov3_coco",
    sgd(_YOLO3),
    {
        "batch": (64, _YOLO3),
        "lr": (0.001, _YOLO3),
        "iterations": (500200, _YOLO3),
        "warmup": (
            "1000 iterations from 0 power 4",
            f"{_YOLO3}: burn_in=1000; its power is darknet's default of 4 (src/parser.c)",
        ),
        "schedule": ("step 0.1 at 400000,450000 iterations", _YOLO3),
        "weight_decay": (0.0005, _YOLO3),
        "detection": (
            {
                "hue": 0.1,
                "saturation": 1.5,
                "exposure": 1.5,
                "sides": (320, 608),
                "ignore_above": 0.7,
                "ignore_above_in_the_paper": 0.5,
                "loss": "independent logistic classes and objectness",
                "anchors": 9,
                "scales": 3,
            },
            _YOLO3,
        ),
    },
)

_FAST = "Fast R-CNN section 2.3"
FASTRCNN_VOC = recipe(
    "fastrcnn_voc",
    sgd(_FAST),
    {
        "batch": (2, f"{_FAST}: pictures"),
        "lr": (0.001, f"{_FAST}; biases go twice as fast there, not here"),
        "iterations": (40000, f"{_FAST}: 30,000, and 10,000 at a tenth"),
        "schedule": ("step 0.1 at 30000 iterations", _FAST),
        "weight_decay": (0.0005, _FAST),
        "short_side": ((600, 600), "Fast R-CNN section 5.2"),
        "mirror": (True, _FAST),
        "detection": (
            {
                "regions_a_picture": 64,
                "foreground": 0.25,
                "foreground_iou": 0.5,
                "background_iou": (0.1, 0.5),
                "init_classes": 0.01,
                "init_boxes": 0.001,
                "long_side_at_most": 1000,
                "box_loss_weight": 1.0,
                "loss": "softmax and smooth L1",
                "proposals": 2000,
                "proposals_by": "Selective Search",
            },
            "Fast R-CNN sections 2.3 and 5.2",
        ),
    },
)

DETECTORS = (YOLOV1_VOC, YOLOV2_VOC, YOLOV3_COCO, FASTRCNN_VOC)
