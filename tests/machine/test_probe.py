"""The probe takes the fastest plan, keeps it, and survives a damaged file of choices."""

from __future__ import annotations

import json
import time

import pytest

from convarium.errors import UsageError
from convarium.files import home
from convarium.machine import Plan, choose_plan, probe

SLOW, MIDDLE, FAST = 0.012, 0.005, 0.0005


class Steps:
    """Makes steps that sleep; counts how often it is asked."""

    def __init__(self, fastest: tuple[str, str], threads: int | None = None) -> None:
        self.fastest, self.threads, self.asked = fastest, threads, 0

    def __call__(self, plan: Plan):
        self.asked += 1
        nap = SLOW
        if (plan.precision, plan.layout) == self.fastest:
            nap = FAST if self.threads in (None, plan.threads) else MIDDLE
        return lambda: time.sleep(nap)


@pytest.fixture(autouse=True)
def _short(monkeypatch) -> None:
    monkeypatch.setattr(probe, "SECONDS", (0.02, 0.02))
    monkeypatch.setattr(probe, "TURN", 0.01)
    monkeypatch.setattr(probe, "available_cores", lambda: 2)
    monkeypatch.setattr(probe, "default_device", lambda: "cpu")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_the_fastest_is_chosen(precision, layout) -> None:
    plan = choose_plan("net", Steps((precision, layout)))
    assert (plan.precision, plan.layout) == (precision, layout)
    assert plan.chosen_by.startswith("probe: ")


@pytest.mark.parametrize("threads", [1, 2])
def test_the_better_number_of_threads_is_chosen(threads) -> None:
    plan = choose_plan("net", Steps(("fp32", "contiguous"), threads))
    assert plan.threads == threads


def test_a_fixed_number_of_threads_is_not_measured() -> None:
    assert choose_plan("net", Steps(("fp32", "contiguous"), 1), threads=2).threads == 2


def test_the_choice_is_kept_and_not_measured_again() -> None:
    first = choose_plan("net", Steps(("bf16", "contiguous")))
    again = Steps(("fp32", "channels_last"))
    assert choose_plan("net", again) == first
    assert again.asked == 0


def test_another_network_or_thread_count_is_measured_anew() -> None:
    choose_plan("net", Steps(("bf16", "contiguous")), threads=1)
    for name, threads in (("other", 1), ("net", 2)):
        steps = Steps(("fp32", "contiguous"))
        assert choose_plan(name, steps, threads=threads).precision == "fp32"
        assert steps.asked == 4


def test_the_user_decides() -> None:
    steps = Steps(("bf16", "contiguous"))
    plan = choose_plan("net", steps, threads=3, layout="channels_last", precision="fp32")
    assert plan == Plan(3, "channels_last", "fp32", "the user", plan.device)
    assert steps.asked == 0


def test_half_a_decision_leaves_the_other_half_to_the_probe() -> None:
    choose_plan("net", Steps(("bf16", "contiguous")))
    steps = Steps(("fp32", "channels_last"))
    plan = choose_plan("net", steps, precision="fp32")
    assert (plan.precision, plan.layout, steps.asked) == ("fp32", "channels_last", 2 + 2)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[" * 100_000,
        lambda text: "[]",
        lambda text: '{"choices": 3}',
        lambda text: text.replace('"bf16"', '"int1"'),
        lambda text: text.replace('"layout"', '"outlay"'),
        lambda text: text.replace('"chosen_by"', '"by"'),
    ],
)
def test_a_damaged_file_is_measured_over(damage) -> None:
    choose_plan("net", Steps(("bf16", "contiguous")))
    file = home() / "probe.json"
    file.write_text(damage(file.read_text()))
    assert choose_plan("net", Steps(("fp32", "contiguous"))).precision == "fp32"
    assert json.loads(file.read_text())["schema"] == "convarium/1"


def test_bytes_that_are_no_text_are_measured_over() -> None:
    home().mkdir(parents=True, exist_ok=True)
    (home() / "probe.json").write_bytes(b"\xff\xfe\x00")
    assert choose_plan("net", Steps(("fp32", "contiguous"))).precision == "fp32"


def test_a_home_that_cannot_be_written_only_costs_time(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CONVARIUM_HOME", str(tmp_path / "file" / "home"))
    assert choose_plan("net", Steps(("bf16", "contiguous"))).precision == "bf16"


@pytest.mark.parametrize(
    "wrong", [{"threads": -1}, {"layout": "rows"}, {"precision": "fp8", "layout": "contiguous"}]
)
def test_words_that_no_plan_takes(wrong) -> None:
    with pytest.raises(UsageError, match="must be"):
        choose_plan("net", Steps(("fp32", "contiguous")), **wrong)
