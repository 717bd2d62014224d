"""The Tab key: names of networks and runs, by the protocol of the shells, without heavy imports."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from convarium import catalog
from convarium.cli.names import complete_record
from records.record_logs import events_of, keep

HEAVY = ("torch", "torchvision", "numpy", "altair", "PIL", "sklearn")
CODE = """
import atexit, sys
heavy = {names!r}
atexit.register(lambda: print(sorted(set(heavy) & set(sys.modules)), file=sys.stderr))
from convarium.cli import main
sys.exit(main())
"""
# The aim is 0.3 s on a quiet machine; CPU seconds, twice the aim, as others may share the cores.
CPU_SECONDS = 0.6


def tab(line: str) -> tuple[list[str], str]:
    """What bash gets for Tab at the end of `line`, and the heavy modules that were imported."""
    words = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    out = subprocess.run(
        [sys.executable, "-c", CODE.format(names=HEAVY)],
        env={**os.environ, **asked, "_CONVARIUM_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return out.stdout.split(), out.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("verb", ["show", "cost", "train", "verify", "list"])
def test_network_names_are_completed(verb: str) -> None:
    names, heavy = tab(f"convarium {verb} vgg_a_")
    assert names == [name for name in catalog.CATALOG if name.startswith("vgg_a_")]
    assert len(names) > 1
    assert heavy == "[]"


def test_aliases_are_completed() -> None:
    assert tab("convarium show vgg1")[0] == ["vgg11", "vgg13", "vgg16", "vgg19"]


def test_verbs_are_completed() -> None:
    assert tab("convarium comp")[0] == ["compare"]


def test_the_last_name_of_a_list_is_completed() -> None:
    assert tab("convarium bakeoff --models lenet5,zfn")[0] == ["lenet5,zfnet"]


@pytest.mark.parametrize("verb", ["compare", "rerun"])
def test_runs_are_completed(verb: str) -> None:
    keep(events_of("20260301T120000-aaaaaa", {"model": "lenet5"}))
    found, heavy = tab(f"convarium {verb} 2026")
    assert (found, heavy) == (["20260301T120000-aaaaaa"], "[]")


def test_the_newest_run_comes_first_and_networks_follow() -> None:
    keep(events_of("20260301T1-a"), events_of("20260302T1-b"))
    assert complete_record("")[:3] == ["20260302T1-b", "20260301T1-a", next(iter(catalog.CATALOG))]


def test_completion_is_quick() -> None:
    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    times = []
    for _ in range(3):
        before = spent()
        tab("convarium show resn")
        times.append(spent() - before)
    assert min(times) < CPU_SECONDS
