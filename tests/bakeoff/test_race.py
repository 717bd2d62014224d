"""A whole small race: results, resuming, repeating, failing, one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest
import torch

from convarium.bakeoff.entrant import Entrant, entrant
from convarium.bakeoff.events import NetworkFailed, NetworkStarted, RaceEvent, RaceStarted
from convarium.bakeoff.folder import alone_in, finished_before
from convarium.bakeoff.race import race, whole_folder
from convarium.bakeoff.settings import Settings
from convarium.bakeoff.single import train_one
from convarium.data import Dataset, load_dataset
from convarium.errors import ConvariumError, InputError, UsageError
from convarium.evaluate import wilson_interval
from convarium.records import Database, Race, Result, read_events

Make = Callable[..., Settings]


def run(settings: Settings) -> tuple[Race, list[RaceEvent]]:
    """The race and what it told."""
    events: list[RaceEvent] = []
    return race(settings, listen=events.append, tell=print), events


def few() -> Dataset:
    """The digits, as lenet5 takes them."""
    return load_dataset("digits", side=32)


def kept(events: list[RaceEvent]) -> tuple[str, ...]:
    return next(event.kept for event in events if isinstance(event, RaceStarted))


def stop_at(model: str) -> Callable[[RaceEvent], None]:
    """A listener that interrupts when `model` begins."""

    def listen(event: RaceEvent) -> None:
        if isinstance(event, NetworkStarted) and event.model == model:
            raise KeyboardInterrupt

    return listen


def test_a_race_measures_every_network(settings: Make) -> None:
    done, events = run(settings())
    assert [result.model for result in done.results] == ["lenet5", "lenet_caffe"]
    assert kept(events) == ()
    for result in done.results:
        assert result.status == "done"
        assert result.top1_total == 40 == sum(map(sum, result.confusion))
        assert sum(row[at] for at, row in enumerate(result.confusion)) == result.top1_correct
        assert (result.top1_low, result.top1_high) == wilson_interval(result.top1_correct, 40)
        assert result.top1_correct <= result.top5_correct <= 40
        low, high = result.ms_batch1_spread
        assert 0 < low <= result.ms_batch1 <= high
        assert len(result.mistakes) == min(12, 40 - result.top1_correct)
        assert len(result.curve) == result.epochs == 1
    assert set(done.front_time) | set(done.front_size) <= {"lenet5", "lenet_caffe"}
    json.dumps(asdict(done), allow_nan=False)


def test_lenet5_has_the_papers_parameters(settings: Make) -> None:
    # LeNet paper, section II.B: "60,000 trainable free parameters" as printed; 340,908 connections.
    result = run(settings(models=("lenet5",)))[0].results[0]
    assert result.params == 60_000


def test_what_no_counter_measures_has_its_reason(settings: Make) -> None:
    result = run(settings(models=("lenet_caffe",)))[0].results[0]
    for name in ("joules_per_image", "peak_bytes"):
        value, reason = getattr(result, name), result.unavailable.get(name)
        assert (value is None) == (reason is not None)
        assert reason is None or reason.startswith("not available: ")


def test_memory_that_another_left_does_not_hide_what_a_network_takes(settings: Make) -> None:
    """VGG A's gradients and momenta alone are 2 x 4 bytes for each of its 9.2 million weights."""
    left = [torch.ones(16 << 10) for _ in range(4_000)]  # 260 MB, in blocks that come off the heap
    pin = torch.ones(1_000)  # above them: the heap's end cannot be given back
    del left
    one_step = settings(models=("vgg_a_32px",), epochs=None, minutes=1e-6)
    result = run(one_step)[0].results[0]
    del pin
    if result.peak_bytes is None:
        pytest.skip(result.unavailable["peak_bytes"])
    assert result.peak_bytes >= 6 * result.params  # a little of what was left serves it


def test_an_interrupted_race_continues_with_what_is_missing(settings: Make) -> None:
    with pytest.raises(KeyboardInterrupt):
        race(settings(), listen=stop_at("lenet_caffe"), tell=print)
    first = next(iter(finished_before(settings().out).values()))
    done, events = run(settings())
    assert kept(events) == ("lenet5",)
    assert [e.model for e in events if isinstance(e, NetworkStarted)] == ["lenet_caffe"]
    assert done.results[0].curve == first.curve
    assert done.results[0].ms_batch1 > 0
    ends = [e["status"] for e in read_events(settings().out / "log.jsonl") if e["event"] == "end"]
    assert ends == ["interrupted", "done"]


def test_a_finished_race_is_told_again_without_training(settings: Make) -> None:
    first, _ = run(settings())
    again, events = run(settings())
    assert kept(events) == ("lenet5", "lenet_caffe")
    assert again.results == first.results


def test_fresh_trains_again(settings: Make) -> None:
    run(settings(models=("lenet_caffe",)))
    assert kept(run(settings(models=("lenet_caffe",), fresh=True))[1]) == ()


@pytest.mark.parametrize("change", [{"seed": 1}, {"epochs": 2}, {"threads": 2}])
def test_another_race_has_another_key(settings: Make, change: dict[str, object]) -> None:
    assert (
        entrant("lenet5", few(), settings()).key != entrant("lenet5", few(), settings(**change)).key
    )


def test_another_race_in_the_folder_keeps_nothing(settings: Make) -> None:
    run(settings(models=("lenet_caffe",)))
    assert kept(run(settings(models=("lenet_caffe",), seed=1))[1]) == ()


@pytest.mark.parametrize(
    ("change", "same"), [({"sources": {"lr": "elsewhere"}}, True), ({"lr": 0.5}, False)]
)
def test_the_key_is_of_values_not_of_their_sources(
    settings: Make, change: dict[str, Any], same: bool
) -> None:
    one = entrant("lenet5", few(), settings())
    other = replace(one, recipe=replace(one.recipe, **change))
    assert (one.key == other.key) == same


def test_the_same_seed_gives_the_same_result(settings: Make) -> None:
    first = run(settings())[0].results
    second = run(settings(out=settings().out.with_name("second")))[0].results
    for a, b in zip(first, second, strict=True):
        assert [(p.loss, p.train_top1) for p in a.curve] == [
            (p.loss, p.train_top1) for p in b.curve
        ]
        assert a.confusion == b.confusion
        assert a.mistakes == b.mistakes


def test_another_seed_gives_another_result(settings: Make) -> None:
    first = run(settings(models=("lenet_caffe",)))[0].results[0]
    second = run(settings(models=("lenet_caffe",), seed=1))[0].results[0]
    assert first.curve[0].loss != second.curve[0].loss


def test_a_network_that_fails_does_not_end_the_race(
    settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Entrant.run

    def run_or_fail(self: Entrant, *args: object) -> Result:
        if self.name == "lenet5":
            raise InputError("the loss is nan")
        return whole(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Entrant, "run", run_or_fail)
    done, events = run(settings())
    assert [r.status for r in done.results] == ["failed", "done"]
    assert done.results[0].unavailable["top1_correct"] == "the loss is nan"
    assert any(isinstance(event, NetworkFailed) for event in events)
    assert done.front_time == ("lenet_caffe",)


def test_a_race_in_which_all_fail_is_an_error(
    settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Entrant, *args: object) -> Result:
        raise InputError("the loss is nan")

    monkeypatch.setattr(Entrant, "run", fail)
    with pytest.raises(ConvariumError, match="the loss is nan"):
        run(settings())


def test_minutes_replace_epochs(settings: Make) -> None:
    done, _ = run(settings(models=("lenet_caffe",), epochs=None, minutes=0.002))
    assert done.results[0].train_seconds >= 0.12


def test_one_race_at_a_time_in_a_folder(settings: Make) -> None:
    with alone_in(settings().out), pytest.raises(UsageError, match="another run is busy"):
        run(settings())


def test_a_folder_that_cannot_be_made_is_named(settings: Make, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Choose another --out"):
        run(settings(out=tmp_path / "file" / "race"))


def test_the_race_is_in_the_records(settings: Make) -> None:
    run(settings())
    with Database() as database:
        runs, results = database.runs(), database.results()
    assert [(r["kind"], r["data"], r["status"]) for r in runs] == [("bakeoff", "digits", "done")]
    assert {r["model"] for r in results} == {"lenet5", "lenet_caffe"}


def test_a_damaged_log_loses_no_more_than_its_line(settings: Make) -> None:
    run(settings())
    log = settings().out / "log.jsonl"
    log.write_text(log.read_text() + '{"event": "result", "result": {"mod')
    assert kept(run(settings())[1]) == ("lenet5", "lenet_caffe")


def test_a_network_without_its_weights_is_trained_again(settings: Make) -> None:
    run(settings())
    (settings().out / "weights" / "lenet5.safetensors").unlink()
    assert kept(run(settings())[1]) == ("lenet_caffe",)


def test_one_network_can_be_trained_alone(settings: Make) -> None:
    done = train_one(settings(models=("lenet5",)), listen=print, tell=print)
    result, weights = done.result, done.weights
    assert result.model == "lenet5"
    assert weights.name == "last.safetensors"
    assert weights.is_file()


def test_training_alone_takes_one_network(settings: Make) -> None:
    with pytest.raises(UsageError, match="one network"):
        train_one(replace(settings()), listen=print, tell=print)


def test_another_line_up_keeps_the_folders_others_for_the_report(settings: Make) -> None:
    """The second race answers for its own line-up; the page for all that was raced so."""
    first, _ = run(settings(models=("lenet5",)))
    second, _ = run(settings(models=("lenet_caffe",)))
    assert [r.model for r in second.results] == ["lenet_caffe"]
    assert [r.model for r in second.earlier] == ["lenet5"]
    page = whole_folder(second)
    assert [r.model for r in page.results] == ["lenet_caffe", "lenet5"]
    assert set(page.front_time) <= {"lenet_caffe", "lenet5"}
    (again,) = second.earlier
    assert again.confusion == first.results[0].confusion
    assert again.ms_batch1 != first.results[0].ms_batch1  # all were timed in one sitting


def test_earlier_networks_of_other_settings_are_not_of_the_report(settings: Make) -> None:
    run(settings(models=("lenet_caffe",), seed=1))
    second, _ = run(settings(models=("lenet_caffe",)))
    assert second.earlier == ()


def test_the_times_of_one_sitting_are_kept(settings: Make) -> None:
    run(settings(models=("lenet5",)))
    second, _ = run(settings(models=("lenet_caffe",)))
    third, _ = run(settings(models=("lenet5", "lenet_caffe")))
    assert third.results == (*second.earlier, *second.results)
