"""What is made of laps; contestants and their equals; operators that add up to the pass."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convarium.cost.measured import bench as bench_file
from convarium.cost.measured import operators
from convarium.cost.measured.bench import Settings, bench, plans_of, point_of, ratios_of
from convarium.cost.measured.contestants import Contestant, check_room, contestants
from convarium.cost.measured.operators import Stopwatch, by_operator, time_operators
from convarium.errors import ExhaustedError, InputError, UsageError
from convarium.machine import Counter, Plan, energy, laps_in_turns


@pytest.fixture(autouse=True)
def _few_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators are timed in the fewest passes, not for two seconds."""
    monkeypatch.setattr(operators, "SECONDS", 0.0)


def _entrant(name: str, model: nn.Module, base: str | None = None) -> Contestant:
    return Contestant(name, model, (3, 8, 8), base or name)


def _small(width: int = 4) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36 * width, 2))


def test_percentiles_lie_between_neighbours() -> None:
    """Of 0, 1, .. 10 ms: half at 5, nine tenths at 9, 99 of 100 at 9.9."""
    laps = [n / 1000 for n in range(11)]
    one = point_of("net", 4, 1, laps, {"peak_bytes": 1, "joules_per_image": None})
    assert (one.ms_p50, one.ms_p90, one.ms_p99) == pytest.approx((5, 9, 9.9))
    assert one.ms_spread == pytest.approx((2.5, 7.5))
    assert one.images_per_second == pytest.approx(4 / 0.005)


def test_ratios_are_taken_round_by_round() -> None:
    """A slow third round slows both: the ratios stay 2, 2, 2, though the medians' would differ."""
    entrants = [_entrant("a", _small()), _entrant("b", _small(), "a")]
    laps = {"a": [1.0, 3.0, 50.0], "b": [2.0, 6.0, 100.0]}
    (ratio,) = ratios_of(entrants, laps, 1, 1)
    assert (ratio.name, ratio.base) == ("b", "a")
    assert (ratio.low, ratio.median, ratio.high) == (2, 2, 2)


def test_rounds_are_looked_at_before_they_run() -> None:
    seen: list[str] = []
    tasks = {name: lambda name=name: seen.append(name) for name in "ab"}
    laps = laps_in_turns(tasks, seconds=0, least=2, warmup=0, between=lambda n: seen.append(str(n)))
    assert "".join(seen) == "0ab1ab"
    assert {name: len(values) for name, values in laps.items()} == {"a": 2, "b": 2}


def test_every_batch_and_thread_has_its_point() -> None:
    entrants = [_entrant("a", _small()), _entrant("b", _small(8), "a")]
    settings = Settings(plans_of([1, 2], "contiguous", "fp32"), (1, 3), 0.001, per_op=True)
    told: list[str] = []
    report = bench(entrants, settings, tell=told.append)
    want = [(n, b, t) for t in (1, 2) for b in (1, 3) for n in "ab"]
    assert [(p.name, p.batch, p.threads) for p in report.points] == want
    assert [(r.batch, r.threads) for r in report.ratios] == [(1, 1), (3, 1), (1, 2), (3, 2)]
    assert len(told) == 4
    told_json = report.to_dict()["points"][0]
    assert {row["layer"] for row in told_json["operators"]["rows"]} == {"0", "1", "2", "3"}
    assert told_json["n"] >= bench_file.LEAST_ROUNDS


def test_peak_memory_is_that_of_a_pass() -> None:
    """A pass fills 64 MiB and drops them; what the first one loads beside, 256 MiB, stays."""

    class Fills(nn.Module):
        loaded = None

        def forward(self, x):
            if self.loaded is None:
                self.loaded = torch.ones(256 << 20, dtype=torch.uint8)
            return torch.ones(64 << 20, dtype=torch.uint8)[:1]

    settings = Settings(plans_of([1], "contiguous", "fp32"), (1,), 0.001)
    (point,) = bench([_entrant("a", Fills())], settings).points
    if point.peak_bytes is None:
        pytest.skip(point.unavailable["peak_bytes"])
    assert 60 << 20 < point.peak_bytes < 128 << 20


class _PairsAlone(nn.Module):
    def forward(self, x):
        return x.view(2, -1)


def test_a_network_that_takes_no_single_picture_is_timed() -> None:
    settings = Settings(plans_of([1], "contiguous", "fp32"), (2,), 0.001)
    odd = Contestant("pairs", _PairsAlone(), (3, 5, 5), "pairs")  # 75 values are no two rows
    (point,) = bench([odd], settings).points
    assert point.batch == 2


class _Counts(nn.Module):
    """One operator more at each call."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        for _ in range(self.calls):
            x = x + 1
        return x


def test_passes_of_different_operators_have_no_times_by_operator() -> None:
    settings = Settings(plans_of([1], "contiguous", "fp32"), (1,), 0.001, per_op=True)
    with pytest.raises(InputError, match=r"in one pass than in the next.*Leave --per-op out"):
        bench([_entrant("a", _Counts())], settings)


@pytest.mark.gpu
@pytest.mark.parametrize("batch", [1, 64])
def test_a_pass_on_a_gpu(batch) -> None:
    """Operators add up to the pass; its memory is what arithmetic says; it draws watts, not less.

    Of the linear layers' outputs (batch x 16 MiB and batch x 2 bytes x 4) the larger one and the
    input are there at once at most; the input was there before.
    """
    wide = nn.Sequential(nn.Flatten(), nn.Linear(192, 4 << 20, bias=False), nn.ReLU(inplace=True))
    settings = Settings(plans_of([1], "contiguous", "fp32", "cuda"), (batch,), 0.5, per_op=True)
    (point,) = bench([_entrant("a", wide)], settings).points
    output = batch * (4 << 20) * 4
    assert output <= point.peak_bytes < output + (40 << 20)  # cuBLAS has a scratch of 32 MiB
    assert point.operators.ms_sum == pytest.approx(point.operators.ms_wall, rel=0.1)
    watts = point.joules_per_image * point.images_per_second
    assert 30 < watts < 1500
    # Weights of 3 GiB are read once a pass; no memory of today gives more than 20 TB/s.
    assert point.ms_p50 > 3.2e9 / 20e12 * 1e3


def test_energy_is_a_figure_or_a_reason(tmp_path) -> None:
    counter = Counter(tmp_path / "none")
    settings = Settings(plans_of([1], "contiguous", "fp32"), (1,), 0.001)
    (point,) = bench([_entrant("a", _small())], settings, counter=counter).points
    assert point.joules_per_image is None
    assert point.unavailable["joules_per_image"].startswith("not available: no RAPL")


def test_energy_is_shared_among_the_pictures(tmp_path, monkeypatch) -> None:
    """Every pass of four pictures draws 800 microjoules."""
    monkeypatch.setattr(energy, "LEAST_SECONDS", 0.0)  # the counter turns over behind 1,250 passes
    folder = tmp_path / "intel-rapl:0"
    folder.mkdir()
    for name, text in (("name", "package-0"), ("max_energy_range_uj", "1000000")):
        (folder / name).write_text(text)
    file = folder / "energy_uj"
    file.write_text("0")
    counter = Counter(tmp_path)

    class Draws(nn.Module):
        def forward(self, x):
            file.write_text(str(int(file.read_text()) + 800))
            return x

    settings = Settings(plans_of([1], "contiguous", "fp32"), (4,), 0.001)
    (point,) = bench([_entrant("a", Draws())], settings, counter=counter).points
    assert point.joules_per_image == pytest.approx(800e-6 / 4)


class _Napper(nn.Module):
    """Two calls of an operator of its own."""

    def forward(self, x):
        return torch.ops.convarium_bench_test.nap(torch.ops.convarium_bench_test.nap(x))


def test_operators_are_told_by_layer_and_in_all() -> None:
    """A clock that moves by 3 s in an operator and by 1 ms with a reading.

    An operator takes 3.001 s, a plain pass of two 6.001: the share is 6.002 over 6.001. The third
    of five passes is disturbed by 60 s and forgotten.
    """
    now, naps = [0.0], [0]

    @torch.library.custom_op("convarium_bench_test::nap", mutates_args=())
    def nap(x: torch.Tensor) -> torch.Tensor:
        naps[0] += 1
        now[0] += 63 if naps[0] in (11, 13) else 3
        return x.clone()

    def clock() -> float:
        now[0] += 1e-3
        return now[0]

    model, x = nn.Sequential(_Napper()), torch.zeros(1)
    times = time_operators(model, lambda: model(x), passes=5, watch=Stopwatch(clock), reading=0.0)
    assert times.share == pytest.approx(6.002 / 6.001)
    rows = [row for row in times.rows if row.name == "convarium_bench_test::nap"]
    assert [(row.layer, row.ms) for row in rows] == [("0", pytest.approx(3001))] * 2
    assert by_operator(times)[0][:2] == ("convarium_bench_test::nap", 2)


def test_operators_by_a_clock_of_our_own() -> None:
    """Every reading is one second later: an operator takes 1 s, a plain pass between readings 1 s.

    The pass has three operators: multiply, add, multiply.
    """
    now = iter(range(10_000))
    times = time_operators(
        nn.Identity(),
        lambda: (torch.ones(1) * 2 + 1) * 3,
        passes=2,
        watch=Stopwatch(lambda: float(next(now))),
        reading=0.0,
    )
    by_name = {name: (calls, ms) for name, calls, ms in by_operator(times)}
    assert by_name["mul"] == (2, 2000.0)
    assert by_name["add"] == (1, 1000.0)
    assert times.ms_wall == 1000.0


def test_python_between_operators_is_a_row_of_its_own() -> None:
    """Of a pass of 10 s three are an operator's and seven Python's; the clock adds 0.001 a reading.

    A pass with the clock reads it twice more than one without.
    """
    now = [0.0]

    @torch.library.custom_op("convarium_bench_test::think", mutates_args=())
    def think(x: torch.Tensor) -> torch.Tensor:
        now[0] += 3
        return x.clone()

    def clock() -> float:
        now[0] += 1e-3
        return now[0]

    def run() -> None:
        now[0] += 7
        think(torch.zeros(1))

    times = time_operators(nn.Identity(), run, passes=3, watch=Stopwatch(clock), reading=1e-3)
    extra = 2e-3 * len(times.rows)
    assert times.ms_sum == pytest.approx(3000, abs=1e-3)
    assert times.ms_between == pytest.approx(7001, abs=1e-3)  # with the plain pass's own reading
    assert times.ms_clock == pytest.approx(1e3 * extra, abs=1e-3)
    assert times.share == pytest.approx(1)


def test_no_hook_stays_behind() -> None:
    from torch.nn.modules import module

    before = len(module._global_forward_hooks), len(module._global_forward_pre_hooks)
    model = _small().eval()
    time_operators(model, lambda: model(torch.zeros(1, 3, 8, 8)), passes=1)
    assert (len(module._global_forward_hooks), len(module._global_forward_pre_hooks)) == before


def test_equals_come_from_the_ledger() -> None:
    """The ledger has torchvision's vgg11 as equal to vgg_a, and nothing equal to lenet5."""
    told: list[str] = []
    found = contestants(["lenet5", "squeezenet1_1"], against=["torchvision"], tell=told.append)
    assert [(one.name, one.base) for one in found] == [
        ("lenet5", "lenet5"),
        ("squeezenet1_1", "lenet5"),
        ("torchvision:squeezenet1_1", "squeezenet1_1"),
    ]
    assert told == ["lenet5 has no equal in torchvision."]


def test_a_module_without_values_is_refused(tmp_path) -> None:
    path = tmp_path / "net.py"
    path.write_text("import torch\ndef make():\n    return torch.nn.Linear(3, 2, device='meta')\n")
    with pytest.raises(InputError, match="without values"):
        contestants([f"{path}:make"], input_size=(1, 1, 3))


def test_a_batch_that_cannot_fit_is_refused_before_it_is_tried() -> None:
    with pytest.raises(ExhaustedError, match=r"at batch 64 needs about .* Use a smaller batch"):
        check_room(_entrant("a", _small()), 64, free=1000)


@pytest.mark.parametrize("wrong", [{"batches": ()}, {"batches": (0,)}, {"seconds": 0.0}])
def test_settings_out_of_range_are_refused(wrong) -> None:
    with pytest.raises(UsageError):
        Settings((Plan(1),), **wrong)
