"""The latency model: operators as calls, a planted law found again, what is kept and read."""

from __future__ import annotations

import json
from itertools import islice
from threading import Thread
from typing import Any

import pytest
import torch
from torch import nn

from convarium.cost.latency import sitting, store
from convarium.cost.latency.calibrate import Calibration, calibrate
from convarium.cost.latency.calls import SIZES, Call, calls_of
from convarium.cost.latency.chains import COUNT, Chains
from convarium.cost.latency.model import LatencyModel, typical_error
from convarium.cost.latency.predict import predict, priced
from convarium.cost.latency.shapes import MOST_MACS, drawn
from convarium.cost.latency.sitting import sit
from convarium.cost.latency.store import NAME, Kept, keep, kept, key_of
from convarium.cost.latency.tasks import task_of
from convarium.cost.report import cost_of
from convarium.errors import InputError, UsageError
from convarium.files import home
from convarium.machine import Plan
from convarium.trace import trace_anyhow


def law(call: Call) -> float:
    """A machine of 40 GMAC/s and 5 GB/s that takes 10 microseconds to start."""
    if call.kind == "conv":
        moved = 4 * call["n"] * call["h"] * call["w"] * (call["c"] + call["out"])
        return 10e-6 + call.macs / 40e9 + moved / 5e9
    if call.kind == "linear":
        return 10e-6 + 4 * call["inputs"] * call["outputs"] / 5e9
    elements = 1
    for size in call.sizes:
        elements *= size
    return 10e-6 + 8 * elements / 5e9


@pytest.fixture(scope="module")
def samples() -> list[tuple[Call, float]]:
    """40 turns: each family twice and more."""
    return [(call, law(call)) for turn in islice(drawn(), 40) for call in turn]


def _calls(model: nn.Module, *shape: int) -> list[Call]:
    return [call for row in trace_anyhow(model, shape)[0] for call in calls_of(row)]


CASES = [
    (nn.Conv2d(3, 8, 3, stride=2, padding=1), (2, 3, 16, 16), "conv", 2 * 8 * 8 * 8 * 27),
    (nn.Conv2d(3, 8, 5), (1, 3, 12, 12), "conv", 8 * 8 * 8 * 75),
    (nn.Conv2d(8, 8, 3, padding=1, groups=8), (1, 8, 6, 6), "depthwise", 8 * 36 * 9),
    (nn.Conv2d(8, 16, 3, padding=1, groups=2), (1, 8, 6, 6), "grouped", 16 * 36 * 4 * 9),
    (nn.Conv2d(8, 16, 1), (1, 8, 6, 6), "pointwise", 16 * 36 * 8),
    (nn.ConvTranspose2d(4, 6, 3, stride=2), (1, 4, 5, 5), "conv", 25 * 4 * 6 * 9),
    (nn.Conv3d(3, 4, 3), (2, 3, 4, 6, 6), "conv", 2 * 2 * 4 * 4 * 4 * 3 * 27),
    (nn.ConvTranspose3d(4, 6, 3, 2), (1, 4, 5, 6, 7), "conv", 5 * 6 * 7 * 4 * 6 * 27),
    (nn.Linear(7, 5), (3, 7), "linear", 3 * 35),
    (nn.ReLU(), (1, 4, 2, 2), "map", 0),
    (nn.ReLU(inplace=True), (1, 4, 2, 2), "map_in_place", 0),
    (nn.Sigmoid(), (1, 4, 2, 2), "curve", 0),
    (nn.BatchNorm2d(4), (1, 4, 2, 2), "norm", 0),
    (nn.MaxPool2d(2), (1, 4, 4, 4), "max_pool", 0),
    (nn.AvgPool2d(2), (1, 4, 4, 4), "mean_pool", 0),
    (nn.AvgPool3d((5, 1, 1), 1), (1, 1, 9, 4, 4), "mean_window", 0),
    (nn.AdaptiveAvgPool2d(1), (1, 4, 4, 4), "mean", 0),
]


@pytest.mark.parametrize(("model", "shape", "family", "macs"), CASES, ids=lambda v: str(v)[:20])
def test_an_operator_is_a_call_of_its_family(model, shape, family, macs) -> None:
    timed = [call for call in _calls(model, *shape) if call.kind != "view"]
    assert [(call.family, call.macs) for call in timed] == [(family, macs)]


def test_calls_have_the_multiply_adds_that_the_count_has() -> None:
    model = nn.Sequential(
        *(nn.Conv2d(3, 12, 7, stride=2), nn.ReLU(), nn.Conv2d(12, 12, 3, groups=12)),
        *(nn.Conv2d(12, 20, 1), nn.Flatten(), nn.Linear(20 * 11 * 11, 10)),
    )
    counted = cost_of(model, (3, 32, 32), name="m").macs
    assert sum(call.macs for call in _calls(model, 1, 3, 32, 32)) == counted


def test_an_lstm_is_priced_by_its_multiply_adds_and_named(samples) -> None:
    """Of 5 steps each takes four gates of 32 from 48 inputs and 32 states."""
    net = nn.LSTM(48, 32)
    assert sum(call.macs for call in _calls(net, 5, 1, 48)) == 5 * 4 * 32 * (48 + 32)
    model = LatencyModel(samples)
    rows, _ = trace_anyhow(net, (5, 1, 48))
    assert len(priced(rows, model, name="m", batch_size=5).strangers) == 1
    assert predict(nn.Conv3d(3, 4, 3), (3, 4, 6, 6), model, name="m").strangers == (
        "convolution of 3 dimensions",
    )


class _FindsNothing(nn.Module):
    """As a detector's head where no box was found."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        return self.head(x[:0])


def test_what_has_no_elements_costs_a_call_alone(samples) -> None:
    found = predict(_FindsNothing(), (3, 8, 8), LatencyModel(samples), name="m")
    assert found.macs == 0
    assert 0 < found.ms < 1


def test_shapes_are_drawn_alike_every_time_and_in_bounds() -> None:
    first, again = (list(islice(drawn(), 30)) for _ in range(2))
    assert first == again
    assert {call.kind for turn in first for call in turn} == set(SIZES)
    for turn in first:
        assert len({call.family for call in turn}) == 1
        for call in turn:
            assert min(call.sizes, default=1) >= 1
            assert call.macs <= MOST_MACS


@pytest.mark.parametrize("kind", SIZES)
def test_every_kind_can_be_run_and_is_traced_as_itself(kind: str) -> None:
    """What the calibration runs is, in a trace, the call that it was made from."""
    small = {
        "conv": (1, 8, 6, 6, 4, 3, 3, 2, 1, 2),
        "join": (2, 64),
        "max_pool": (1, 4, 8, 8, 3, 2),
        "mean_pool": (1, 4, 8, 8, 3, 2),
    }
    call = Call(kind, small.get(kind, (8,) * len(SIZES[kind])))
    task = task_of(call, Plan(1))
    with torch.no_grad():
        task.fresh()
        task.run()
    if len(task.inputs) == 1:
        traced = _calls(task.layer, *task.inputs[0].shape)
        assert call.kind in [found.kind for found in traced]


def test_a_planted_law_is_found_again(samples) -> None:
    """Noise-free seconds of a known machine: new networks within 10 %, held-out shapes too."""
    errors = typical_error(samples)
    assert sum(errors.values()) / len(errors) < 0.1
    net = nn.Sequential(
        *(nn.Conv2d(3, 64, 7, stride=2, padding=3), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.Conv2d(64, 96, 3, padding=1), nn.ReLU(), nn.Conv2d(96, 160, 1), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(160, 1000)),
    )
    want = sum(law(call) for call in _calls(net, 2, 3, 112, 112))
    found = predict(net, (3, 112, 112), LatencyModel(samples), name="net", batch_size=2)
    assert found.ms == pytest.approx(1e3 * want, rel=0.1)
    assert sum(row.ms for row in found.rows) == pytest.approx(found.ms)
    assert found.strangers == ()


def test_a_disturbed_sample_is_not_believed(samples) -> None:
    """One shape in twenty took thirty times as long: another program had the machine."""
    spoilt = [(call, s * (30 if i % 20 == 7 else 1)) for i, (call, s) in enumerate(samples)]
    calls = [call for call, _ in samples if call.family == "conv"]
    want = sum(law(call) for call in calls)
    assert LatencyModel(spoilt).seconds(calls).sum() == pytest.approx(want, rel=0.15)


def test_chains_say_what_a_network_adds(samples) -> None:
    """Planted: whole chains take 1.3 times their parts; the one that took 9 times is not usual."""
    parts = [[call for call, _ in samples[at : at + 9]] for at in (0, 200, 300)]
    alone = LatencyModel(samples)
    chains = [
        (calls, slower * float(alone.seconds(calls).sum()))
        for calls, slower in zip(parts, (1.3, 9.0, 1.3), strict=True)
    ]
    assert LatencyModel(samples, chains).context == pytest.approx(1.3)
    found = LatencyModel(samples, chains).seconds(parts[0])
    assert found == pytest.approx(1.3 * alone.seconds(parts[0]))


@pytest.mark.slow
def test_chains_are_drawn_alike_and_run() -> None:
    """Ten of them, the same for every calibration."""
    first, again = Chains(Plan(1)), Chains(Plan(1))
    assert first.timed() == []
    for chains in (first, again):
        chains.at(0.0)
    found = [[calls for calls, _ in chains.timed()] for chains in (first, again)]
    assert found[0] == found[1]
    assert len(found[0]) == COUNT
    assert all(seconds > 0 for _, seconds in first.timed())


def test_a_family_that_was_not_timed_is_named(samples) -> None:
    only = [s for s in samples if s[0].family in ("conv", "view")]
    net = nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 3))
    assert predict(net, (8, 16, 16), LatencyModel(only), name="n").strangers == ("depthwise",)


def test_a_network_that_cannot_take_the_picture_says_so(samples) -> None:
    with pytest.raises(InputError, match="cannot take a picture"):
        predict(nn.Conv2d(8, 8, 3), (3, 16, 16), LatencyModel(samples), name="n")


def test_a_calibration_stops_in_time_and_times_what_it_is_given() -> None:
    calls = [Call("map", (1000 + n,)) for n in range(3)]
    done = calibrate(Plan(1), seconds=60, turns=iter([calls]))
    assert [call for call, _ in done.samples] == calls
    assert all(seconds > 0 for _, seconds in done.samples)
    assert calibrate(Plan(1), seconds=0).samples == []


REACHED = {
    "rows": [{"name": "vgg_a"}],
    "model": {"mean_error": 0.1, "worst_error": 0.2, "tau": None},
    "macs_alone": {"mean_error": 0.4, "worst_error": 0.9, "tau": 0.8},
    "repeatability": 0.02,
    "rounds": 3,
}


def test_a_calibration_is_kept_by_machine_and_plan(samples) -> None:
    plan, other = Plan(1), Plan(1, "channels_last")
    few = tuple(samples[:50])
    chains = ((tuple(call for call, _ in few[:4]), 0.5),)
    keep(plan, Kept(few, {"conv": 0.1}, REACHED, 7, chains))
    keep(other, Kept(few[:20], {}))
    assert (kept(plan).samples, kept(plan).chains, kept(plan).left_out) == (few, chains, 7)
    assert (kept(plan).held_out, kept(plan).reached) == ({"conv": 0.1}, REACHED)
    assert len(kept(other).samples) == 20
    assert f"torch {torch.__version__}" in key_of(plan)


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        '{"calibrations": 3}',
        json.dumps({"calibrations": {"KEY": {"samples": [["conv", [1], 1.0]], "held_out": {}}}}),
        json.dumps({"calibrations": {"KEY": {"samples": [["map", [9], -1.0]], "held_out": {}}}}),
        json.dumps({"calibrations": {"KEY": {"samples": [], "held_out": {}}}}),
    ],
)
def test_a_damaged_calibration_is_made_again(text: str) -> None:
    plan = Plan(2)
    (home() / NAME).write_text(text.replace("KEY", key_of(plan)))
    with pytest.raises(UsageError, match=r"convarium bench --calibrate --threads 2$"):
        kept(plan)


@pytest.mark.parametrize(
    "change",
    [
        {"reached": {"rounds": 3}},
        {"reached": REACHED | {"repeatability": float("inf")}},
        {"left_out": float("inf")},
        {"chains": [[[["map", [9]]], float("nan")]]},
        {"samples": [["map", [9], 10**400]]},
    ],
)
def test_numbers_that_are_none_make_a_calibration_a_damaged_one(change) -> None:
    plan = Plan(2)
    entry = {"samples": [["map", [9], 0.1]], "held_out": {}} | change
    (home() / NAME).write_text(json.dumps({"calibrations": {key_of(plan): entry}}))
    with pytest.raises(UsageError, match="not calibrated"):
        kept(plan)


def test_two_that_calibrate_at_once_keep_both(samples, monkeypatch) -> None:
    """The second comes while the first is between reading the file and writing it."""
    plain, second = store._entries, Thread(target=keep, args=(Plan(2), Kept((samples[0],), {})))

    def slow() -> dict[str, Any]:
        found = plain()
        if second.ident is None:  # not started yet
            second.start()
            second.join(0.5)
        return found

    monkeypatch.setattr(store, "_entries", slow)
    keep(Plan(1), Kept((samples[1],), {}))
    second.join()
    assert (kept(Plan(1)).samples, kept(Plan(2)).samples) == ((samples[1],), (samples[0],))


def test_a_scant_calibration_does_not_take_a_whole_ones_place(samples, monkeypatch) -> None:
    plan = Plan(1)
    keep(plan, Kept(tuple(samples), {}))
    few = Calibration([sample for sample in samples if sample[0].family == "conv"])
    monkeypatch.setattr(sitting, "calibrate", lambda *_, **__: few)
    with pytest.raises(InputError, match=r"too busy: no .*depthwise.* could be timed.*is kept"):
        sit(plan)
    assert kept(plan).samples == tuple(samples)
    (home() / NAME).unlink()
    told = sit(plan)
    assert {call.family for call, _ in samples} == {"conv", *told.not_timed}
    assert isinstance(told.interference.disturbed, bool)


def test_a_home_that_cannot_be_written_is_told_before_the_minute(monkeypatch, tmp_path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CONVARIUM_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(sitting, "calibrate", None)  # is not reached
    with pytest.raises(InputError, match="cannot be written"):
        sit(Plan(1))
