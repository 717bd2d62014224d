"""Choosing a recipe, reading one from TOML and records, --set, and telling two apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from convarium.catalog import CATALOG
from convarium.cli import main
from convarium.errors import ConvariumError, InputError, UsageError
from convarium.recipes import (
    PAPERS,
    Recipe,
    differences,
    find_recipe,
    read_recipe,
    recipe_for,
    recipe_from_dict,
    told,
    with_overrides,
)
from convarium.recipes.reading import LARGEST

MINE = Recipe("mine", lr=0.1, epochs=4)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_the_four_ways_of_asking(tmp_path: Path) -> None:
    file = written(tmp_path, "epochs = 3\nlr = 0.2\n")
    asked = {"short": "resnet20_cifar, short, small", "paper": "resnet_cifar"}
    asked |= {"wrn_cifar": "wrn_cifar", str(file): "mine"}
    for word, name in asked.items():
        assert find_recipe("resnet20_cifar", "small", word).name == name


@pytest.mark.parametrize(
    ("network", "asked", "words"),
    [
        ("lenet_caffe", "paper", "has no paper's recipe for lenet_caffe"),
        ("darknet53", "paper", "detection training is not part of this version"),
        ("resnet20_cifar", "yolov1_voc", "detection training is not part of this version"),
        ("resnet20_cifar", "resnet_cifer", "Did you mean resnet_cifar"),
        ("resnet20_cifr", "short", "Did you mean resnet20_cifar"),
        ("resnet20_cifar", "absent.toml", r"absent.toml: No such file"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(network, asked, words) -> None:
    with pytest.raises(ConvariumError, match=words) as error:
        find_recipe(network, "small", asked)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("word", "field", "value"),
    [
        ("lr=1e-3", "lr", 0.001),
        ("lr=1", "lr", 1.0),
        ("batch=64", "batch", 64),
        ("mirror=true", "mirror", True),
        ("nesterov=false", "nesterov", False),
        ("clip=none", "clip", None),
        ("short_side=256,480", "short_side", (256.0, 480.0)),
        ("schedule=step 0.1 at 2,3 epochs", "schedule", "step 0.1 at 2,3 epochs"),
        ("options.dropout=0.3", "options", {"dropout": 0.3}),
        ("init_from=vgg_a", "init_from", "vgg_a"),
    ],
)
def test_set_is_typed_by_the_field(word, field, value) -> None:
    recipe = with_overrides(MINE, [word])
    assert getattr(recipe, field) == value
    assert type(getattr(recipe, field)) is type(value)
    assert recipe.source_of(field) == "--set"


def test_one_length_takes_the_others_place() -> None:
    recipe = with_overrides(PAPERS["resnet_cifar"], ["epochs=3"])
    assert (recipe.epochs, recipe.iterations) == (3, None)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("lr", "field=value"),
        ("epoch=3", "Did you mean epochs"),
        ("batch=1e3", "batch must be a whole number"),
        ("lr=nan", "lr must be above 0"),
        ("lr=fast", "lr must be a number"),
        ("mirror=maybe", "mirror must be true or false"),
        ("short_side=256", "short_side must be two numbers"),
        ("short_side=480,256", "lower end first"),
        ("batch=0", "from 1 to 1,000,000, not 0"),
        ("lr=-1", "above 0 and at most 100, not -1.0"),
        ("loss=a\x1b[31m", "loss must be text on one line"),
        ("options.dropout=\x1b[31m", "options must be a table"),
        ("schedule=", "schedule must be text on one line"),
        ("epochs=none", "epochs or iterations"),
        ("name=x", "no field of a recipe is named 'name'"),
        ("schedule=plateau 0.1 patience 5 times 3", "needs validation"),
        ("tested=best", "set validation above 0"),
        ("tested=first", "tested must be last or best"),
        ("border=none", "border must be repeat or zero or reflect"),
        ("init_from=vgg_aa", "Did you mean vgg_a"),
    ],
)
def test_other_words_of_set_are_refused(word, hint) -> None:
    with pytest.raises(UsageError, match=hint):
        with_overrides(MINE, [word])


def test_a_file_builds_on_a_papers_recipe(tmp_path: Path) -> None:
    text = 'base = "resnet_cifar"\nepochs = 20\nshort_side = [256, 480]\n'
    text += '[options]\ndropout = 0.1\n[sources]\nepochs = "an evening"\n'
    recipe = read_recipe(written(tmp_path, text))
    found = {d.field: d.ours for d in differences(recipe, PAPERS["resnet_cifar"])}
    expected = {"epochs": 20, "iterations": None, "short_side": (256.0, 480.0)}
    assert found == {**expected, "options": {"dropout": 0.1}}
    assert recipe.source_of("epochs") == "an evening"
    assert recipe.source_of("options") == "the file mine"
    assert recipe.source_of("lr") == PAPERS["resnet_cifar"].source_of("lr")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "needs lr"),
        ("lr = 0.1", "epochs or iterations"),
        ("lr = 0.1\nepochs = 2\niterations = 3", "one of them"),
        ("lr = 0.1\nepoch = 2", "Did you mean epochs"),
        ("lr = '0.1'\nepochs = 2", "lr must be a number"),
        ("lr = true\nepochs = 2", "lr must be a number"),
        ("lr = 0.1\nepochs = 2.0", "epochs must be a whole number"),
        ("lr = 0.1\nepochs = 2\narea = [0.1]", "area must be two numbers"),
        ("lr = 0.1\nepochs = 2\noptions = 3", "options must be a table"),
        ("base = 'resnet'", "no recipe is named 'resnet'"),
        ("base = 3", "base must be text"),
        ("", 'or a base = "NAME"'),
        ("lr = 0.1\nepochs = 2\nname = ''", "name must be text on one line"),
        ('lr = 0.1\nepochs = 2\nname = "a\\nb"', "name must be text on one line"),
        ('lr = 0.1\nepochs = 2\n[sources]\nlr = "\\u001b[31m"', "sources must be a table"),
        ("lr = 0.1\nepochs = 2\n[sources]\nrate = 'mine'", "no field of a recipe is named 'rate'"),
        ("lr = ", "no TOML"),
        ("a = " + "[" * 20000, "no TOML"),
        ("lr = " + "9" * 5000, "no TOML|must be above 0"),
        ("#" * (LARGEST + 1), "64 kB"),
    ],
)
def test_files_that_are_no_recipe(tmp_path: Path, text: str, hint: str) -> None:
    with pytest.raises(InputError, match=hint) as error:
        read_recipe(written(tmp_path, text))
    assert "mine.toml" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("recipe", PAPERS.values(), ids=lambda r: r.name)
def test_a_record_gives_the_recipe_back(recipe: Recipe) -> None:
    import json

    kept = recipe_from_dict(json.loads(json.dumps(recipe.to_dict())))
    for field in ("schedule", "lr", "short_side", "options", "iterations"):
        assert getattr(kept, field) == getattr(recipe, field)


def test_a_file_cannot_hand_a_network_a_detectors_recipe(tmp_path: Path) -> None:
    file = written(tmp_path, 'base = "yolov1_voc"\nepochs = 2\n')
    with pytest.raises(UsageError, match="detection training is not part of this version"):
        find_recipe("resnet20_cifar", "small", str(file))


def test_a_file_of_any_name_gives_a_name_that_can_be_shown(tmp_path: Path) -> None:
    path = tmp_path / "red\x1b[31m.toml"
    path.write_text("lr = 0.1\nepochs = 2\n")
    recipe = read_recipe(path)
    assert recipe.name == "red\\x1b[31m"
    assert all(source.isprintable() for source in recipe.sources.values())


def test_a_training_tells_how_it_departs() -> None:
    words = told(find_recipe("resnet20_cifar", "small", "paper", ["epochs=14"]), "resnet20_cifar")
    assert words == (
        "differs from resnet_cifar, the paper's recipe: 14 epochs for 64000 iterations"
    )
    assert told(PAPERS["resnet_cifar"], "resnet20_cifar").startswith("as resnet_cifar")
    timed = told(PAPERS["resnet_cifar"], "resnet20_cifar", minutes=2.5)
    assert timed == (
        "differs from resnet_cifar, the paper's recipe: 2.5 minutes for 64000 iterations"
    )
    none = "no paper's recipe to compare with: the ledger has none that trains lenet_caffe"
    assert told(MINE, "lenet_caffe") == none


@pytest.mark.parametrize("kind", ["small", "photographs"])
def test_every_network_has_a_short_recipe_for_many_pictures(kind: str) -> None:
    for name in CATALOG:
        few, many = recipe_for(name, kind, 10_000), recipe_for(name, kind, 10_001)
        assert few == recipe_for(name, kind)
        assert many.batch > few.batch
        assert set(many.sources) == set(few.sources)


def test_a_network_whose_paper_has_no_recipe_is_told_what_its_authors_took(capsys) -> None:
    """The ledger: fb.resnet.torch, batch 128; wrn_imagenet has the values of that code."""
    network = "stochastic_depth_152_imagenet"
    asked = [
        ["recipe", "show", network],
        ["train", network, "--data", "digits", "--recipe", "paper"],
    ]
    for words in asked:
        assert main(words) == 2
        said = capsys.readouterr().err.strip()
        assert said.count(". ") == 0, "one sentence"
        assert said.endswith("--recipe wrn_imagenet --set batch=128.")
    assert find_recipe(network, "photographs", "wrn_imagenet", ["batch=128"]).batch == 128
