"""`data check` on folders with one fault each, made by hand."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convarium.cli import main
from convarium.data.check import Report, check_folder
from convarium.errors import InputError


def photograph(seed: int, side: int = 48) -> Image.Image:
    """A picture with structure, another for every seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def fill(folder: Path, seeds: range) -> Path:
    """A folder of pictures, one a seed."""
    folder.mkdir(parents=True)
    for seed in seeds:
        photograph(seed).save(folder / f"{seed}.png")
    return folder


@pytest.fixture
def parted(tmp_path: Path) -> Path:
    """train/ and val/ with two classes each, nothing wrong."""
    for at, part in enumerate(("train/a", "train/b", "val/a", "val/b")):
        fill(tmp_path / part, range(10 * at, 10 * at + 4 - at // 2))
    return tmp_path


def reasons(report: Report) -> dict[str, str]:
    """Of suspicious files."""
    return {file.name: file.reason for file in report.suspicious}


def test_a_sound_folder_has_nothing_to_say(parted: Path) -> None:
    report = check_folder(parted)
    assert (report.form, report.unreadable, report.suspicious, report.twins) == (None, (), (), ())
    assert report.balance == {"train": {"a": 4, "b": 4}, "val": {"a": 3, "b": 3}}
    assert report.sizes == {"up to 64 px": 14}
    assert report.median_size == (48, 48)
    assert report.formats == {"PNG": 14}
    assert main(["data", "check", str(parted)]) == 0


def copied(parted: Path) -> str:
    shutil.copy(parted / "train/a/0.png", parted / "val/a/copy.png")
    return "bytes"


def saved_again(parted: Path) -> str:
    photograph(0).save(parted / "val/a/copy.bmp")
    return "pixels"


def compressed(parted: Path) -> str:
    photograph(0).save(parted / "val/a/copy.jpg", quality=60)
    return "near"


@pytest.mark.parametrize("spoil", [copied, saved_again, compressed])
def test_a_leak_into_the_test_part(parted: Path, spoil: Callable[[Path], str]) -> None:
    kind = spoil(parted)
    (pair,) = check_folder(parted).twins
    assert (pair.first, pair.second.rpartition(".")[0]) == ("train/a/0.png", "val/a/copy")
    assert (pair.kind, pair.leak, pair.conflict) == (kind, True, False)
    assert main(["data", "check", str(parted)]) == 1


def test_a_duplicate_within_a_part_is_no_leak(parted: Path) -> None:
    shutil.copy(parted / "train/a/0.png", parted / "train/a/copy.png")
    (pair,) = check_folder(parted).twins
    assert not pair.leak
    assert main(["data", "check", str(parted)]) == 0


def test_one_picture_of_two_classes(parted: Path) -> None:
    shutil.copy(parted / "train/a/0.png", parted / "train/b/copy.png")
    (pair,) = check_folder(parted).twins
    assert pair.conflict
    assert main(["data", "check", str(parted)]) == 1


def test_a_leak_over_the_split_that_a_race_would_make(tmp_path: Path) -> None:
    fill(tmp_path / "a", range(10))
    fill(tmp_path / "b", range(20, 30))
    for at in range(10):
        shutil.copy(tmp_path / f"a/{at}.png", tmp_path / f"a/{at}_again.png")
    # 20 % of 20 are held back: 4 at most of 10 pairs can be of two held pictures or cut in two.
    leaks = [pair for pair in check_folder(tmp_path).twins if pair.leak]
    assert 1 <= len(leaks) <= 4


def cut_and_closed(path: Path) -> None:
    buffer = io.BytesIO()
    photograph(7, 256).save(buffer, "JPEG", quality=95)
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2] + b"\xff\xd9")


def animation(path: Path) -> None:
    photograph(1).save(path, "GIF", save_all=True, append_images=[photograph(2)])


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("x.jpg", cut_and_closed, "cut short"),
        ("x.gif", animation, "animated"),
        ("x.jpg", lambda p: photograph(1).save(p, "PNG"), "a PNG by its content"),
        ("x.png", lambda p: Image.new("RGB", (20, 20), "red").save(p), "one colour"),
        ("x.png", lambda p: photograph(1, 6).save(p), "only 6x6"),
        ("x.png", lambda p: photograph(1, 90).crop((0, 0, 90, 12)).save(p), "long and narrow"),
    ],
)
def test_suspicious_pictures(
    parted: Path, name: str, write: Callable[[Path], object], words: str
) -> None:
    write(parted / "train/a" / name)
    assert words in reasons(check_folder(parted))[f"train/a/{name}"]


def test_files_that_are_passed_over_are_told(parted: Path) -> None:
    (parted / "notes.txt").write_text("hello")
    (parted / "train/a/more").mkdir()
    photograph(1).save(parted / "train/a/more/deep.png")
    photograph(2).save(parted / "train/a/nameless", "PNG")
    told = {file.name: file.reason for file in check_folder(parted).passed_over}
    assert set(told) == {"notes.txt", "train/a/more/deep.png", "train/a/nameless"}
    assert "name it nameless.png" in told["train/a/nameless"]


@pytest.mark.parametrize("folders", [(), ("only",), ("train/a", "train/b")])
def test_a_folder_of_no_form_that_is_read(tmp_path: Path, folders: tuple[str, ...]) -> None:
    for at, folder in enumerate(folders):
        fill(tmp_path / folder, range(10 * at, 10 * at + 2))
    report = check_folder(tmp_path)
    assert report.form
    assert report.refused
    assert main(["data", "check", str(tmp_path)]) == 3


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing"):
        check_folder(tmp_path / "nothing")


def test_links_that_lead_back_end(parted: Path) -> None:
    (parted / "train/a/back").symlink_to(parted)
    (parted / "train/c").symlink_to(parted / "train")
    assert check_folder(parted).balance["train"]["a"] == 4


def test_json_holds_every_field(parted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(parted), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "convarium/1"
    assert set(Report.__dataclass_fields__) | {"refused", "spoilt"} == set(told["check"])


def test_what_is_no_folder_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    for name, words in (("absent", "does not exist"), ("file", "is no folder")):
        assert main(["data", "check", str(tmp_path / name)]) == 3
        assert f"{name} {words}" in capsys.readouterr().err


@pytest.mark.parametrize("names", [("Train", "Test"), ("training", "testing")])
def test_parts_of_other_names(tmp_path: Path, names: tuple[str, str]) -> None:
    for at, part in enumerate(f"{name}/{label}" for name in names for label in "ab"):
        fill(tmp_path / part, range(10 * at, 10 * at + 3))
    report = check_folder(tmp_path)
    assert (report.form, set(report.balance)) == (None, set(names))


def test_a_class_of_trains(tmp_path: Path) -> None:
    for at, label in enumerate(("bus", "train")):
        fill(tmp_path / label, range(10 * at, 10 * at + 3))
    assert check_folder(tmp_path).balance == {"all": {"bus": 3, "train": 3}}


@pytest.mark.parametrize("junk", ["__MACOSX", "@eaDir", "System Volume Information"])
def test_what_systems_leave_is_no_class(parted: Path, junk: str) -> None:
    (parted / "train" / junk).mkdir()
    assert check_folder(parted).form is None


@pytest.mark.parametrize(("there", "here"), [("a", "A"), ("caf\u00e9", "cafe\u0301")])
def test_a_class_that_is_spelt_otherwise(tmp_path: Path, there: str, here: str) -> None:
    for at, part in enumerate((f"train/{there}", "train/x", f"val/{here}", "val/x")):
        fill(tmp_path / part, range(10 * at, 10 * at + 3))
    form = check_folder(tmp_path).form
    assert form is not None
    assert f"(spelt {here!a}, there {there!a})" in form


def test_classes_that_differ_in_case_alone_are_suspicious(tmp_path: Path) -> None:
    for at, label in enumerate(("Cat", "cat", "dog")):
        fill(tmp_path / label, range(10 * at, 10 * at + 3))
    report = check_folder(tmp_path)
    (found,) = report.suspicious
    assert (found.name, "'Cat' is another" in found.reason) == ("cat/", True)
    assert not report.refused


def test_one_is_no_plural(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "a", range(1))
    assert main(["data", "check", str(tmp_path)]) == 3
    line = capsys.readouterr().out.splitlines()[0]
    assert line.endswith("1 picture (1 in all) of 1 class, 1 a class and part; no two alike")


def test_a_file_beside_the_classes_is_told_for_what_it_is(tmp_path: Path) -> None:
    for at, label in enumerate("ab"):
        fill(tmp_path / label, range(10 * at, 10 * at + 3))
    (tmp_path / "README.md").write_text("words")
    (tmp_path / "stray.png").write_bytes((tmp_path / "a" / "0.png").read_bytes())
    told = {one.name: one.reason for one in check_folder(tmp_path).passed_over}
    assert told["README.md"] == "no picture by its name"
    assert told["stray.png"].startswith("in no class folder")
