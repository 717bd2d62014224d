"""`predict`: which network of a run answers, what it says, and files that lie of themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from convarium.bakeoff.entrant import native_side
from convarium.bakeoff.trained import about_weights, find_trained
from convarium.cli import main
from convarium.data import Dataset, load_dataset
from convarium.errors import InputError, UsageError
from convarium.nets.build import build
from convarium.records import RunLog
from convarium.train import save_weights


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """As lenet_caffe takes them."""
    return load_dataset("digits", side=28)


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, str]:
    """A race's folder as its log and weights have it: lenet_caffe was better. And its record."""
    out = tmp_path / "run"
    log = RunLog("bakeoff", out, tell=print, folder=str(out))
    for name, right in (("lenet5", 10), ("lenet_caffe", 20)):
        model = build(name, num_classes=10, in_channels=1)
        about = about_weights(name, load_dataset("digits", side=native_side(name)))
        save_weights(model, out / "weights" / f"{name}.safetensors", about)
        told = {"model": name, "status": "done", "top1_correct": right, "top1_total": 40}
        log.write("result", result={**told, "ms_batch1": 1.0})
    return out, log.id


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A grey picture of 28 px, which is decoded as it is."""
    path = tmp_path / "grey.png"
    levels = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    Image.fromarray(levels).save(path)
    return path


def answers(capsys: pytest.CaptureFixture[str]) -> Iterator[dict[str, Any]]:
    """The JSON lines of stdout."""
    yield from map(json.loads, capsys.readouterr().out.splitlines())


def test_the_answer_is_the_networks_own(
    run: tuple[Path, str], picture: Path, digits: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = run[0] / "weights" / "lenet_caffe.safetensors"
    assert main(["predict", str(weights), str(picture), "--top", "3", "--json"]) == 0
    (told,) = answers(capsys)
    assert (told["schema"], told["network"]) == ("convarium/1", "lenet_caffe")
    model = build("lenet_caffe", num_classes=10, in_channels=1).eval()
    with safe_open(weights, "pt") as file:
        model.load_state_dict({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
    levels = torch.from_numpy(np.asarray(Image.open(picture)).copy())[None, None].float() / 255
    with torch.no_grad():
        logits = model((levels - digits.scale.mean[0]) / digits.scale.std[0])[0]
    shares = (logits - logits.logsumexp(0)).exp()
    best = shares.argsort(descending=True)[:3].tolist()
    assert [entry["class"] for entry in told["top"]] == [str(digit) for digit in best]
    found = [entry["probability"] for entry in told["top"]]
    assert found == pytest.approx(shares[best].tolist(), rel=1e-4)


def test_of_a_race_the_most_accurate_answers(
    run: tuple[Path, str], picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, record = run
    for words in ([str(folder)], [record], [str(folder), "--model", "lenet5"]):
        place, *options = words
        assert main(["predict", place, str(picture), "--json", *options]) == 0
    assert [a["network"] for a in answers(capsys)] == ["lenet_caffe", "lenet_caffe", "lenet5"]


def test_a_table_names_picture_and_classes(
    run: tuple[Path, str], picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(run[0]), str(picture)]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head == str(picture)
    assert len(rows) == 5
    assert all(row.endswith("%") for row in rows)


def test_a_bad_picture_costs_the_others_nothing(
    run: tuple[Path, str], picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bad := picture.with_name("bad.png")).write_bytes(b"no picture")
    assert main(["predict", str(run[0]), str(bad), str(picture), str(picture), "--json"]) == 3
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert err.splitlines()[-1].startswith(f"error: {bad}: no JPEG")


@pytest.mark.parametrize("place", ["nothing", "20260101T000000-abcdef", "../x"])
def test_a_run_that_is_not_there(place: str) -> None:
    with pytest.raises(InputError, match="is named"):
        find_trained(place)


def test_a_run_without_networks(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no trained network"):
        find_trained(str(tmp_path))


def test_a_network_that_was_not_raced(run: tuple[Path, str]) -> None:
    with pytest.raises(UsageError, match="has no vgg_d, only lenet5, lenet_caffe"):
        find_trained(str(run[0]), "vgg16")


@pytest.mark.parametrize(
    "lie",
    [
        {"network": "no_net"},
        {"network": "inception_naive"},
        {"network": None},
        {"classes": "3"},
        {"classes": "[]"},
        {"classes": "[1, 2]"},
        {"classes": "[" * 5000},
        {"classes": json.dumps(["x"] * 100_001)},
        {"classes": '["a", "b"]'},
        {"side": "9999"},
        {"side": "x"},
        {"decode_side": "100000"},
        {"channels": "2"},
        {"channels": "3"},
        {"mean": "[NaN]"},
        {"mean": "[]"},
        {"std": "[0]"},
        {"std": '["a"]'},
    ],
    ids=lambda lie: str(lie)[:40],
)
def test_weights_that_lie_are_refused(
    tmp_path: Path, digits: Dataset, picture: Path, lie: dict[str, str | None]
) -> None:
    about = {**about_weights("lenet_caffe", digits), **lie}
    model = build("lenet_caffe", num_classes=10, in_channels=1)
    path = tmp_path / "w.safetensors"
    tensors = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
    save_file(tensors, path, {key: value for key, value in about.items() if value is not None})
    assert main(["predict", str(path), str(picture)]) == 3


def test_a_file_that_is_no_safetensors(
    tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path := tmp_path / "w.safetensors").write_bytes(b"\xff" * 64)
    assert main(["predict", str(path), str(picture)]) == 3
    assert "cannot be read as safetensors" in capsys.readouterr().err


def test_a_reason_with_its_way_out_needs_no_other(
    run: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(b"%PDF-1.7")
    (tmp_path / "b.png").write_bytes(b"")
    files = [str(tmp_path / name) for name in ("a.png", "b.png")]
    assert main(["predict", str(run[0]), *files]) == 3
    first, second = capsys.readouterr().err.splitlines()[-2:]
    assert first.endswith("a.png: a PDF, no JPEG, PNG, WebP, BMP or GIF; convert it to PNG.")
    assert second.endswith("b.png: the file is empty. Repair or replace it.")
