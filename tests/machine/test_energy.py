"""RAPL on a tree of files as the kernel lays them out: wrap-around, several packages, no rights."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from convarium.machine import Counter, energy, joules_per_pass
from convarium.machine.energy import POWERCAP

RANGE = 262_143_328_850  # of a real package, in microjoules


def _domain(root: Path, folder: str, name: str, microjoules: int) -> Path:
    path = root / folder
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "max_energy_range_uj").write_text(f"{RANGE}\n")
    (path / "energy_uj").write_text(f"{microjoules}\n")
    return path / "energy_uj"


@pytest.fixture
def counter(tmp_path):
    def make() -> Counter:
        return Counter(tmp_path)

    return make


def test_one_package(tmp_path, counter) -> None:
    file = _domain(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    with counter().measure() as used:
        file.write_text("3500000\n")
    assert used.joules == pytest.approx(2.5)
    assert used.sources == ("RAPL package-0",)


def test_wrap_around_is_one_turn_of_the_counter(tmp_path, counter) -> None:
    file = _domain(tmp_path, "intel-rapl:0", "package-0", RANGE - 400_000)
    with counter().measure() as used:
        file.write_text("600000\n")
    assert used.joules == pytest.approx(1.0)


def test_two_measurements_of_one_counter(tmp_path, counter) -> None:
    file = _domain(tmp_path, "intel-rapl:0", "package-0", 0)
    one = counter()
    for start in (0, 7_000_000):
        file.write_text(f"{start}\n")
        with one.measure() as used:
            file.write_text(f"{start + 2_000_000}\n")
        assert used.joules == pytest.approx(2.0)


def test_packages_and_memory_add_up_and_parts_do_not(tmp_path, counter) -> None:
    files = [
        _domain(tmp_path, "intel-rapl:0", "package-0", 0),
        _domain(tmp_path, "intel-rapl:0:0", "core", 0),
        _domain(tmp_path, "intel-rapl:0:1", "dram", 0),
        _domain(tmp_path, "intel-rapl:1", "package-1", 0),
        _domain(tmp_path, "intel-rapl:2", "psys", 0),
        _domain(tmp_path, "intel-rapl-mmio:0", "package-0", 0),
    ]
    with counter().measure() as used:
        for joules, file in enumerate(files, start=1):
            file.write_text(f"{joules * 1_000_000}\n")
    assert used.joules == pytest.approx(1 + 3 + 4)


def test_one_of_two_packages_wraps_around(tmp_path, counter) -> None:
    turned = _domain(tmp_path, "intel-rapl:0", "package-0", RANGE - 1_000_000)
    steady = _domain(tmp_path, "intel-rapl:1", "package-1", 5_000_000)
    with counter().measure() as used:
        turned.write_text("2000000\n")
        steady.write_text("9000000\n")
    assert used.joules == pytest.approx(3 + 4)


def test_a_counter_that_stands_still_draws_nothing(tmp_path, counter) -> None:
    _domain(tmp_path, "intel-rapl:0", "package-0", RANGE)
    with counter().measure() as used:
        pass
    assert used.joules == 0


def test_a_counter_that_is_no_number_gives_a_reason(tmp_path, counter) -> None:
    file = _domain(tmp_path, "intel-rapl:0", "package-0", 0)
    file.write_text("broken\n")
    with counter().measure() as used:
        pass
    assert used.joules is None
    assert used.reason.startswith("not available: ")
    assert "broken" in used.reason


def test_no_tree_gives_a_reason(tmp_path) -> None:
    with Counter(tmp_path / "none").measure() as used:
        pass
    assert used.joules is None
    assert used.reason.startswith("not available: no RAPL counters")


def test_an_empty_tree_gives_a_reason(counter) -> None:
    with counter().measure() as used:
        pass
    assert (used.joules, used.sources) == (None, ())
    assert "no RAPL package" in used.reason


def test_no_right_to_read_gives_a_reason(tmp_path, counter, monkeypatch) -> None:
    file = _domain(tmp_path, "intel-rapl:0", "package-0", 5)
    file.chmod(0)
    if os.geteuid() == 0:  # root reads everything: refuse in its place
        plain = Path.read_text

        def refuse(path: Path, *args, **kwargs) -> str:
            if path == file:
                raise PermissionError(13, "Permission denied")
            return plain(path, *args, **kwargs)

        monkeypatch.setattr(Path, "read_text", refuse)
    with counter().measure() as used:
        pass
    assert used.joules is None
    assert used.reason == f"not available: no right to read {file}"


def test_half_of_the_packages_is_no_figure(tmp_path, counter, monkeypatch) -> None:
    """One of two packages may not be read: the other alone would look like a frugal machine."""
    _domain(tmp_path, "intel-rapl:0", "package-0", 0)
    closed = _domain(tmp_path, "intel-rapl:1", "package-1", 0)
    plain = Path.read_text

    def refuse(path: Path, *args, **kwargs) -> str:
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return plain(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", refuse)
    with counter().measure() as used:
        pass
    assert (used.joules, used.sources) == (None, ())
    assert used.reason == f"not available: no right to read {closed}"


def test_a_counter_that_vanishes_gives_a_reason(tmp_path, counter) -> None:
    file = _domain(tmp_path, "intel-rapl:0", "package-0", 0)
    with counter().measure() as used:
        file.unlink()
    assert used.joules is None
    assert used.reason.startswith("not available: ")


@pytest.mark.parametrize("kind", [ZeroDivisionError, ValueError, FileNotFoundError])
def test_an_error_of_the_block_is_not_hidden(tmp_path, counter, kind) -> None:
    _domain(tmp_path, "intel-rapl:0", "package-0", 0)
    with pytest.raises(kind), counter().measure():
        raise kind


def test_a_counter_that_falls_from_beyond_its_range_gives_a_reason(tmp_path, counter) -> None:
    """It was set back: what it drew would come out as less than nothing."""
    file = _domain(tmp_path, "intel-rapl:0", "package-0", RANGE + 5_000_000)
    with counter().measure() as used:
        file.write_text("1000000\n")
    assert used.joules is None
    assert used.reason.startswith(f"not available: {file} fell from {RANGE + 5_000_000} to 1000000")


def test_a_counter_without_its_range_gives_a_reason(tmp_path, counter) -> None:
    lacks = _domain(tmp_path, "intel-rapl:0", "package-0", 0).with_name("max_energy_range_uj")
    lacks.unlink()
    with counter().measure() as used:
        pass
    assert used.joules is None
    assert used.reason == f"not available: {lacks}: No such file or directory"


def test_a_domain_whose_name_is_no_text_is_none(tmp_path, counter) -> None:
    _domain(tmp_path, "intel-rapl:0", "package-0", 0)
    (_domain(tmp_path, "intel-rapl:1", "", 0).with_name("name")).write_bytes(b"\xff\xfe\n")
    with counter().measure() as used:
        pass
    assert used.sources == ("RAPL package-0",)


def test_work_that_draws_nothing_was_not_measured(tmp_path, counter, monkeypatch) -> None:
    """Virtual machines show counters that stand still: no work takes 0 joules."""
    monkeypatch.setattr(energy, "LEAST_SECONDS", 0.0)
    _domain(tmp_path, "intel-rapl:0", "package-0", 0)
    joules, reason = joules_per_pass(lambda: None, counter())
    assert joules is None
    assert reason == "not available: RAPL package-0 stood still for 20 passes"


def test_this_machine_gives_joules_or_a_reason() -> None:
    with Counter(POWERCAP).measure() as used:
        sum(range(1000))
    assert (used.joules is None) == used.reason.startswith("not available: ")
