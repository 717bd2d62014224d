"""Values that the ledger does not hold, from the papers' texts and the authors' files; and what
marks a value that was recalled.
"""

from __future__ import annotations

import re

import pytest

from convarium.cli import main
from convarium.facts import paper_recipes
from convarium.recipes import PAPERS
from house.tree import ROOT

# Recipe: field, value. Whose words they are stands behind each.
SAID = (
    # Appendix: details as ResNet's, so its mean picture, its mirrors and its colours; 64k steps.
    ("preact_cifar", "normalise", "pixel mean"),
    ("preact_cifar", "iterations", 64_000),
    ("preact_imagenet", "normalise", "pixel mean"),
    ("preact_imagenet", "pca_sigma", 0.1),
    ("preact_imagenet", "mirror", True),
    # Section 3: SVHN is divided by 255 and nothing else; scripts/train_svhn.sh: no crop, no flip.
    ("wrn_svhn", "normalise", "unit"),
    ("wrn_svhn", "shift_px", 0),
    ("wrn_svhn", "mirror", False),
    # scripts/train_cifar.sh: randomcrop_type=reflection.
    ("wrn_cifar", "border", "reflect"),
    # Released opts.lua: 100 epochs on ImageNet, 300 on CIFAR; train.lua: nesterov = true.
    ("resnext_imagenet", "epochs", 100),
    ("resnext_imagenet", "nesterov", True),
    ("resnext_cifar", "epochs", 300),
    ("resnext_cifar", "nesterov", True),
    # Appendix A of the second version: a mini-batch of 128; 50k pictures are trained on.
    ("resnext_cifar", "batch", 128),
    ("resnext_cifar", "validation", 0),
    # cifar-dataset.lua takes the mean of each pixel.
    ("stochdepth_cifar", "normalise", "pixel mean"),
    ("stochdepth_1202", "normalise", "pixel mean"),
    # Section 4: SVHN for 50 epochs without augmentation, 6,000 pictures held out.
    ("stochdepth_svhn", "epochs", 50),
    ("stochdepth_svhn", "mirror", False),
    ("stochdepth_svhn", "validation", round(6_000 / 604_388, 2)),
    # Section 4.1: SVHN is divided by 255; 6,000 of 73,257 + 531,131 pictures are held out.
    ("densenet_svhn", "normalise", "unit"),
    ("densenet_svhn", "validation", round(6_000 / (73_257 + 531_131), 2)),
    ("densenet_cifar", "validation", 0),
    # Its readme's test errors, and those of section 4, are "selected by best validation error";
    # DenseNet section 4.1 does so on SVHN, and tests at the end of training on CIFAR.
    ("stochdepth_cifar", "tested", "best"),
    ("stochdepth_1202", "tested", "best"),
    ("stochdepth_svhn", "tested", "best"),
    ("densenet_svhn", "tested", "best"),
    ("densenet_cifar", "tested", "last"),
    # darknet19.cfg: batch=128; yolo-voc.cfg: batch=64.
    ("darknet19_imagenet", "batch", 128),
    ("yolov2_voc", "batch", 64),
    # Section 2.3: 30,000 mini-batches, then 10,000 more.
    ("fastrcnn_voc", "iterations", 40_000),
)


@pytest.mark.parametrize(("name", "field", "value"), SAID)
def test_what_the_texts_say(name: str, field: str, value: object) -> None:
    assert getattr(PAPERS[name], field) == value
    assert "unstated" not in PAPERS[name].source_of(field)


def test_what_was_recalled_says_so_on_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipe", "show", "fractal_imagenet"]) == 0
    shown = capsys.readouterr().out
    (line,) = [line for line in shown.splitlines() if line.split()[:1] == ["schedule"]]
    assert line.endswith("(from memory)")


def test_little_is_recalled() -> None:
    """Beyond the ledger's own entries from memory, two values are."""
    ledger = {name for name, said in paper_recipes().items() if said["confidence"] == "memory"}
    recalled = {
        (name, field)
        for name, recipe in PAPERS.items()
        if name not in ledger
        for field, source in recipe.sources.items()
        if "(from memory)" in source
    }
    assert recalled == {("fractal_imagenet", "schedule"), ("mobilenet_imagenet", "momentum")}


def test_the_page_tells_of_each_recipe_what_it_was_checked_against() -> None:
    page = (ROOT / "docs/recipes.md").read_text("utf-8")
    checked = page.split("## What the sources were checked against")[1]
    told = [
        re.findall(r"`(\w+)`", line.split("|")[1]) for line in checked.splitlines() if "|" in line
    ]
    assert sorted(name for row in told for name in row) == sorted(PAPERS)
