"""Runs of cells: killed at any moment they lose next to nothing, and never mix two experiments."""

import errno
import json
import os
import shutil
import signal
from dataclasses import asdict, dataclass, replace

import pytest
import torch
from helpers import small_cells, small_runs
from helpers.small_cells import NAME, Config, Moments, Schedule
from helpers.small_runs import Gate, came_once_but_for_the_killed, first_of_two_killed

from attention_limits import processes
from attention_limits.cli import main
from attention_limits.experiments import registry, roofline
from attention_limits.experiments.registry import find
from attention_limits.runs import cell_store, provenance, records, runner
from attention_limits.runs.cell_store import LeftoverError
from attention_limits.runs.records import UnwritableError

CONFIG = Config()
STEPS = 2 * 2 * CONFIG.schedule.steps
SHORT = replace(CONFIG, seeds=(3,))  # half as many cells, for what is tried 40 times
PARTIAL = f".{NAME}.partial"


@pytest.fixture(autouse=True)
def experiment():
    """The small experiment, among those of the book."""
    with small_runs.install():
        yield small_cells


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The rows of a run that nothing disturbed."""
    return runner.run(small_cells, CONFIG, tmp_path_factory.mktemp("whole")).records


@pytest.fixture
def interrupted(tmp_path, experiment, monkeypatch):
    """A folder where a run stopped in its third cell."""
    with monkeypatch.context() as patch:
        stop_in(patch, experiment, "recurrent, seed 0")
        assert not runner.run(small_cells, CONFIG, tmp_path).complete
    return tmp_path


def stop_in(patch, experiment, name):
    """Ctrl-C arrives once a cell has begun."""
    run_cell = experiment.run_cell

    def stopped(cell, *args):
        if cell.name == name:
            signal.raise_signal(signal.SIGINT)
        return run_cell(cell, *args)

    patch.setattr(experiment, "run_cell", stopped)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- killed -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def start():
    """A function that runs the experiment in a process of its own."""
    context = processes.context("attention_limits.runs.runner")

    def run(target, *args):
        process = context.Process(target=target, args=args)
        process.start()
        return process

    return run


@pytest.fixture(scope="module")
def kill(start):
    """A function that runs the experiment in a process which is killed at a moment."""

    def run(folder, moment, config):
        process = start(small_runs.run_until, moment, folder, config)
        process.join(small_cells.PATIENCE)
        assert process.exitcode == -signal.SIGKILL

    return run


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The rows of a short run, and all of its moments, in order."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with Moments.counted():
        rows = runner.run(small_cells, SHORT, folder).records
    return rows, Moments.kinds


def test_every_moment_is_among_those_that_are_tried(undisturbed):
    """A kill in the middle of saving was never tried, since the runner saves in another way now."""
    _, moments = undisturbed
    assert moments.count("step") == STEPS / 2
    # Of checkpoints, of the head, of the cells, of the record.
    assert moments.count("half a text") == moments.count("before replace") == STEPS / 2 + 1 + 2 + 1
    assert moments.count("after rmtree") == 2 + 1


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_to_the_same_rows(tmp_path, kill, undisturbed):
    """What the power cut left was half a file, or rows twice, or from another random state."""
    rows, moments = undisturbed
    for moment, kind in enumerate(moments, start=1):
        folder, when = tmp_path / str(moment), f"killed at moment {moment}: {kind}"
        kill(folder, moment, SHORT)
        with Moments.counted():
            run = runner.run(small_cells, SHORT, folder)
        assert (run.records, run.complete) == (rows, True), when
        assert names(folder) == [f"{NAME}.json"], when
        assert records.load(small_cells, folder) == run, when
        trained = moments[:moment].count("step") + Moments.kinds.count("step")
        assert trained - STEPS / 2 <= 1, f"{when}: a step or more was trained again"


def finished(folder):
    """The cells that a run has kept."""
    return names(folder / PARTIAL / "cells")


def test_killed_twice_it_goes_on_twice(tmp_path, kill, whole):
    """The second start wrote down the cells of its own, and forgot those of the first."""
    kill(tmp_path, 50, CONFIG)
    first = finished(tmp_path)
    kill(tmp_path, 25, CONFIG)
    second = finished(tmp_path)
    assert 0 < len(first) < len(second) < 4
    assert runner.run(small_cells, CONFIG, tmp_path).records == whole


def test_a_kill_leaves_the_last_record_until_there_is_a_new_one(tmp_path, kill):
    """A run of other settings was gone as soon as this one began."""
    runner.run(small_cells, replace(CONFIG, seeds=(7,)), tmp_path)
    before = (tmp_path / f"{NAME}.json").read_bytes()
    kill(tmp_path, 40, CONFIG)
    assert (tmp_path / f"{NAME}.json").read_bytes() == before


def test_what_goes_on_says_when_it_was_begun_and_each_cell_where_it_was_measured(
    interrupted, monkeypatch
):
    """The record of two machines bore the date of its end, and the name of one of them."""
    begun = json.loads((interrupted / PARTIAL / "run.json").read_text())["provenance"]
    later = {**begun, "commit": "f" * 40, "device": "Another chip", "torch": "9.9.9"}
    monkeypatch.setattr(records, "provenance", lambda *_: later)
    monkeypatch.setattr(cell_store, "now", lambda: "2100-01-01T00:00:00Z")
    run = runner.run(small_cells, CONFIG, interrupted)
    of_cells = run.provenance["cells"]
    assert {**run.provenance, "cells": {}} == {**begun, "cells": {}}
    assert list(of_cells) == [cell.name for cell in small_cells.cells(CONFIG)]
    other = {
        "date": "2100-01-01T00:00:00Z",
        "commit": "f" * 40,
        "device": "Another chip",
        "torch": "9.9.9",
    }
    assert [of_cells[f"recurrent, seed {seed}"] for seed in (0, 1)] == [other, other]
    assert of_cells["attention, seed 0"].keys() <= {"date"}
    chips, versions = f"on {begun['device']} and Another chip,", f"{begun['torch']} and 9.9.9"
    assert chips in run.stamp
    assert run.stamp.endswith(versions)


# --- several processes on one folder ------------------------------------------------------------


def test_two_processes_share_a_folder_and_one_is_killed(tmp_path, start, whole):
    """Both measured everything, or overwrote the other's, or the dead one kept its cell."""
    with Gate(first_of_two_killed) as gate:
        config = replace(CONFIG, gate=gate.port)
        both = [start(small_runs.run_whole, tmp_path, config) for _ in range(2)]
        for process in both:
            process.join(small_cells.PATIENCE)
    assert sorted(process.exitcode for process in both) == [-signal.SIGKILL, 0]
    came_once_but_for_the_killed(gate.came)
    assert records.load(small_cells, tmp_path).records == whole
    assert names(tmp_path) == [f"{NAME}.json"]


# --- interrupted --------------------------------------------------------------------------------


def test_ctrl_c_keeps_finished_cells_and_the_next_run_goes_on(
    interrupted, experiment, monkeypatch, whole
):
    """Half an hour of training was thrown away by the key that one stops it with."""
    assert names(interrupted) == [PARTIAL]
    begun, told = [], []
    run_cell = experiment.run_cell
    monkeypatch.setattr(
        experiment, "run_cell", lambda cell, *args: begun.append(cell.name) or run_cell(cell, *args)
    )
    run = runner.run(small_cells, CONFIG, interrupted, lambda *words: told.append(words))
    assert begun == ["recurrent, seed 0", "recurrent, seed 1"]
    assert (run.records, run.complete) == (whole, True)
    assert told[:3] == [
        (None, "goes on: 2 of 4 cells are finished"),
        (0.5, "recurrent, seed 0: begins"),
        (0.5, "recurrent, seed 0: step 0"),
    ]
    assert told[3] == (0.625, "recurrent, seed 0: step 1")


def test_ctrl_c_leaves_the_record_of_an_earlier_run_alone(tmp_path, experiment, monkeypatch):
    """The attempt to repeat a run cost the run."""
    before = runner.run(small_cells, CONFIG, tmp_path)
    stop_in(monkeypatch, experiment, "attention, seed 1")
    run = runner.run(small_cells, CONFIG, tmp_path, fresh=True)
    assert (run.complete, len(run.records)) == (False, 2)
    assert records.load(small_cells, tmp_path) == before


def test_an_error_in_a_cell_keeps_those_before_it(tmp_path, experiment, monkeypatch, whole):
    """The last of twenty cells ran out of memory, and took nineteen with it."""
    with monkeypatch.context() as patch:
        run_cell = experiment.run_cell

        def broken(cell, *args):
            if cell.name == "recurrent, seed 1":
                raise torch.OutOfMemoryError("out of memory")
            return run_cell(cell, *args)

        patch.setattr(experiment, "run_cell", broken)
        with pytest.raises(torch.OutOfMemoryError):
            runner.run(small_cells, CONFIG, tmp_path)
    with Moments.counted():
        assert runner.run(small_cells, CONFIG, tmp_path).records == whole
    assert Moments.kinds.count("step") == CONFIG.schedule.steps


# --- refused, and nothing touched ---------------------------------------------------------------


def refused(folder, complaint, config=CONFIG):
    """A run is refused with what to do about it, and leaves every byte as it is."""
    before = contents(folder)
    with pytest.raises(LeftoverError, match=complaint) as caught:
        runner.run(small_cells, config, folder)
    assert str(folder / PARTIAL / "run.json") in str(caught.value)
    assert "delete it, or begin anew with --fresh" in str(caught.value)
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"seeds": (0, 1, 2)}, r"another run \(config.seeds \[0, 1\], not \[0, 1, 2\]\)"),
        ({"schedule": Schedule(steps=3)}, "config.schedule .*'steps': 2.*, not .*'steps': 3"),
        ({"schedule": Schedule(decay=0.1)}, "config.schedule .*'decay': None.*'decay': 0.1"),
        ({"threads": 2}, "config.threads 1, not 2"),
    ],
)
def test_another_config_is_refused(interrupted, change, complaint):
    """Rows of one learning rate were mixed with those of another."""
    refused(interrupted, complaint, replace(CONFIG, **change))


@pytest.mark.parametrize("entry", ["torch", "numpy", "python", "processor", "device", "threads"])
def test_of_what_is_timed_another_machine_is_refused(interrupted, experiment, monkeypatch, entry):
    """The second half of a run was timed by another PyTorch, and the record names one."""
    monkeypatch.setattr(experiment, "TIMED", True, raising=False)
    now = {**provenance.provenance("cpu", 1), entry: "another"}
    monkeypatch.setattr(records, "provenance", lambda *_: now)
    refused(interrupted, f"{entry} .*, not another")


def test_of_what_is_not_timed_another_machine_goes_on(interrupted, monkeypatch, whole):
    """Half an hour of training was refused, since another kernel of the same system was booted."""
    now = {**provenance.provenance("cpu", 1), "processor": "another", "torch": "another"}
    monkeypatch.setattr(records, "provenance", lambda *_: now)
    assert runner.run(small_cells, CONFIG, interrupted).records == whole


def test_other_code_is_refused_and_another_commit_of_the_same_is_not(
    interrupted, monkeypatch, whole
):
    """A model was mended in the middle of its training; or a chapter was, and that was enough."""
    digest = cell_store.code(small_cells)
    with monkeypatch.context() as patch:
        patch.setattr(cell_store, "code", lambda _: "0123456789abcdef")
        refused(interrupted, f"code {digest}, not 0123456789abcdef")
    monkeypatch.setattr(provenance, "_commit", lambda: {"commit": "f" * 40, "dirty": None})
    assert runner.run(small_cells, CONFIG, interrupted).records == whole


CORRUPTED = {
    "empty": (lambda entries: "", "cannot be read"),
    "half": (lambda entries: json.dumps(entries)[:200], "cannot be read"),
    "not text": (lambda entries: b"\xff\xfe", "cannot be read"),
    "a list": (lambda entries: "[]", "is no unfinished run of small_cells today"),
    "older": (
        lambda entries: json.dumps({key: entries[key] for key in entries if key != "code"}),
        "is no unfinished run of small_cells today",
    ),
    "newer": (lambda entries: json.dumps({**entries, "more": 1}), "is no unfinished run"),
    "another": (
        lambda entries: json.dumps({**entries, "experiment": "scaling"}),
        "is no unfinished run of small_cells",
    ),
    "no provenance": (
        lambda entries: json.dumps({**entries, "provenance": None}),
        "is no unfinished run",
    ),
}


@pytest.mark.parametrize(("change", "complaint"), CORRUPTED.values(), ids=CORRUPTED)
def test_what_is_no_unfinished_run_is_refused(interrupted, change, complaint):
    """A file that somebody cut short ended in a traceback, or was silently overwritten."""
    file = interrupted / PARTIAL / "run.json"
    text = change(json.loads(file.read_text()))
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(interrupted, complaint)


def checkpoint_of(folder):
    """Where the cell that was interrupted keeps its own."""
    return folder / PARTIAL / "checkpoints" / "recurrent, seed 0" / "state.json"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"rows": 1, "provenance": {}}'])
def test_a_cell_that_is_none_is_refused_by_name(interrupted, text):
    """A file that somebody edited ended in a traceback, or in a record of half a cell."""
    cell = interrupted / PARTIAL / "cells" / "attention, seed 1.json"
    cell.write_text(text)
    with pytest.raises(LeftoverError, match=r"attention, seed 1.json is no finished cell, delete"):
        runner.run(small_cells, CONFIG, interrupted)
    cell.unlink()
    assert runner.run(small_cells, CONFIG, interrupted).complete


def test_fresh_throws_away_what_cannot_go_on(interrupted, whole):
    """The way out that the refusal names was refused as well, or went on with old checkpoints."""
    (interrupted / PARTIAL / "run.json").write_text("{")
    stale = checkpoint_of(interrupted)
    stale.write_text(json.dumps({"step": 2, "value": -1}))
    assert runner.run(small_cells, CONFIG, interrupted, fresh=True).records == whole
    assert names(interrupted) == [f"{NAME}.json"]


def test_deleting_the_file_is_enough_to_begin_anew(interrupted, whole):
    """The other way out left checkpoints of the old run, and the new one took them for its own."""
    stale = checkpoint_of(interrupted)
    stale.write_text(json.dumps({"step": 2, "value": -1}))
    (interrupted / PARTIAL / "run.json").unlink()
    assert runner.run(small_cells, CONFIG, interrupted).records == whole


# --- complete -----------------------------------------------------------------------------------


def test_a_complete_run_is_not_repeated(tmp_path, experiment, monkeypatch):
    """`run` for the second time trained for an hour to write the same file."""
    first = runner.run(small_cells, CONFIG, tmp_path)
    before, told = contents(tmp_path), []
    with monkeypatch.context() as patch:
        patch.setattr(experiment, "run_cell", pytest.fail)
        second = runner.run(small_cells, CONFIG, tmp_path, lambda *words: told.append(words))
    assert second == first
    assert contents(tmp_path) == before
    assert told == [
        (None, f"{tmp_path / NAME}.json is there, {first.stamp}; --fresh measures it anew")
    ]


@pytest.mark.parametrize(
    ("config", "fresh"), [(CONFIG, True), (replace(CONFIG, schedule=Schedule(decay=0.1)), False)]
)
def test_fresh_or_another_config_repeats_it(tmp_path, config, fresh):
    """The record of other settings was returned as that of these, or `--fresh` did nothing."""
    runner.run(small_cells, CONFIG, tmp_path)
    with Moments.counted():
        run = runner.run(small_cells, config, tmp_path, fresh=fresh)
    assert Moments.kinds.count("step") == STEPS
    assert records.load(small_cells, tmp_path) == run
    assert run.config == records.plain(config)


def test_a_record_that_is_none_is_replaced_in_the_end(tmp_path, whole):
    (tmp_path / f"{NAME}.json").write_text("{")
    assert runner.run(small_cells, CONFIG, tmp_path).records == whole
    assert records.load(small_cells, tmp_path).complete


def test_fresh_that_was_killed_goes_on_without_it(tmp_path, experiment, monkeypatch):
    """The old record was taken for the answer, and the new run never came to its end."""
    runner.run(small_cells, CONFIG, tmp_path)
    with monkeypatch.context() as patch:
        stop_in(patch, experiment, "recurrent, seed 0")
        runner.run(small_cells, CONFIG, tmp_path, fresh=True)
    with Moments.counted():
        assert runner.run(small_cells, CONFIG, tmp_path).complete
    assert Moments.kinds.count("step") == STEPS // 2


# --- the disk -----------------------------------------------------------------------------------


def full_after(monkeypatch, writes, error=errno.ENOSPC):
    """A disk that keeps so many writes and no more."""
    fsync, left = os.fsync, [writes]

    def full(descriptor):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(error, os.strerror(error))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)


@pytest.mark.parametrize("error", [errno.EROFS, errno.ENOSPC])
def test_a_disk_that_takes_nothing_is_told_before_training(
    tmp_path, experiment, monkeypatch, error
):
    """An hour of training, and no place for a row of it."""
    monkeypatch.setattr(experiment, "run_cell", pytest.fail)
    full_after(monkeypatch, 0, error)
    with pytest.raises(UnwritableError, match=f"cannot keep a run: {os.strerror(error)}"):
        runner.run(small_cells, CONFIG, tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("writes", range(1, 2 + STEPS + 5))
def test_a_disk_that_fills_up_keeps_what_it_has(tmp_path, monkeypatch, writes, whole):
    """The file of finished cells was cut short by the very write that was to save one more."""
    with monkeypatch.context() as patch:
        full_after(patch, writes)
        with pytest.raises(UnwritableError, match=f"{NAME}.* cannot be written, and is as it was"):
            runner.run(small_cells, CONFIG, tmp_path)
    assert not list(tmp_path.rglob("*.json.partial")), "half a file takes its room"
    with Moments.counted():
        assert runner.run(small_cells, CONFIG, tmp_path).records == whole
    assert Moments.kinds.count("step") <= STEPS


# --- cells and their rows -----------------------------------------------------------------------


@dataclass(frozen=True)
class Named:
    name: str


@pytest.mark.parametrize(
    ("named", "complaint"),
    [
        (["a", "b", "a"], "cells must have different names, got a, b, a"),
        (["a", "A"], "cells must have different names"),
        (["../a"], "fit for a folder"),
        (["a/b"], "fit for a folder"),
        ([""], "fit for a folder"),
        ([".a"], "fit for a folder"),
        (["a."], "fit for a folder"),
        (["a" * 200], "fit for a folder"),
    ],
)
def test_cells_that_cannot_be_told_apart_are_refused(
    tmp_path, experiment, monkeypatch, named, complaint
):
    """Two cells shared a checkpoint, or one wrote outside of the folder."""
    monkeypatch.setattr(experiment, "cells", lambda config: map(Named, named))
    monkeypatch.setattr(experiment, "run_cell", pytest.fail)
    with pytest.raises(ValueError, match=complaint):
        runner.run(small_cells, CONFIG, tmp_path)
    assert names(tmp_path) == []


ROW = {"model": "a", "seed": 0, "quantity": "loss", "value": 1.0}
UNFIT = {
    "NaN": ({**ROW, "value": float("nan")}, "must be fit for JSON"),
    "a tensor": ({**ROW, "value": torch.tensor(1.0)}, "must be fit for JSON"),
    "a column less": ({"model": "a"}, "must hold model, seed, quantity, value, got"),
    "no row": ("model", "must hold model, seed, quantity, value, got model"),
}


@pytest.mark.parametrize(("row", "complaint"), UNFIT.values(), ids=UNFIT)
def test_rows_that_cannot_be_kept_are_refused_by_cell(
    tmp_path, experiment, monkeypatch, row, complaint
):
    """All cells were trained, and then the record could not be written, or not be read."""
    monkeypatch.setattr(experiment, "run_cell", lambda *_: [ROW, row])
    with pytest.raises(ValueError, match=f"rows of cell 'attention, seed 0' {complaint}"):
        runner.run(small_cells, CONFIG, tmp_path)


def test_cells_compute_on_as_many_threads_as_the_record_says(tmp_path, experiment, monkeypatch):
    """The record said one thread, and the numbers came from two."""
    before, seen = torch.get_num_threads(), []
    run_cell = experiment.run_cell
    monkeypatch.setattr(
        experiment,
        "run_cell",
        lambda *args: seen.append(torch.get_num_threads()) or run_cell(*args),
    )
    run = runner.run(small_cells, replace(CONFIG, threads=before + 1), tmp_path)
    assert set(seen) == {before + 1} == {run.provenance["threads"]}
    assert torch.get_num_threads() == before


def test_measure_gives_the_rows_and_leaves_no_trace(tmp_path, monkeypatch, whole):
    """A chapter that runs a few cells wrote into the reader's folder."""
    monkeypatch.chdir(tmp_path)
    with Moments.counted():
        assert list(runner.measure(small_cells, CONFIG)) == whole
    assert set(Moments.kinds) == {"step"}
    config = roofline.PRESETS["book"]
    assert list(runner.measure(roofline, config)) == list(roofline.measure(config))


def test_a_config_is_the_same_after_json():
    """No run could ever go on: a tuple went into the file, and a list came out of it."""
    config = Config(models=(), schedule=Schedule(decay=None))
    plain = records.plain(config)
    assert json.loads(json.dumps(plain)) == plain
    assert plain["schedule"] == {"steps": 2, "decay": None}
    assert plain == records.plain(Config(models=[], schedule=Schedule()))
    assert plain != records.plain(replace(config, schedule=Schedule(decay=0.0)))
    assert plain.keys() == asdict(config).keys()


@pytest.mark.parametrize("value", [float("inf"), {1, 2}, torch.float32], ids=str)
def test_a_config_that_json_cannot_keep_is_refused(value):
    with pytest.raises(ValueError, match=r"^config must hold what JSON can keep"):
        records.plain(replace(CONFIG, seeds=value))


# --- the command --------------------------------------------------------------------------------


def command(folder, *options):
    return main(["run", NAME, "--device", "cpu", "--out", str(folder), *options])


def test_the_command_stops_and_goes_on(tmp_path, experiment, monkeypatch, capsys, whole):
    """Somebody presses Ctrl-C and is not told that nothing is lost."""
    with monkeypatch.context() as patch:
        stop_in(patch, experiment, "recurrent, seed 0")
        assert command(tmp_path) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("  ..   interrupted: the next run goes on from here\n")
    assert command(tmp_path) == 0
    out, err = capsys.readouterr()
    assert out == f"saved {tmp_path / NAME}.json\n"
    assert "2 of 4 cells are finished" in err
    assert records.load(small_cells, tmp_path).records == whole


def test_the_command_refuses_what_cannot_go_on(interrupted, capsys):
    before = contents(interrupted)
    assert command(interrupted, "--seeds", "3") == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("attention-limits run: ")
    assert contents(interrupted) == before
    assert command(interrupted, "--seeds", "3", "--fresh") == 0


def test_the_command_says_that_the_disk_is_full(tmp_path, monkeypatch, capsys):
    """A full disk ended in a traceback."""
    full_after(monkeypatch, 4)
    assert command(tmp_path) == 2
    err = capsys.readouterr().err.splitlines()
    assert err[-1].startswith("attention-limits run: ")
    assert os.strerror(errno.ENOSPC) in err[-1]


def test_seeds_are_counted_on_the_command_line(tmp_path, capsys):
    """Other seeds were drawn, or as many as ever; or the time was promised that five take."""
    assert command(tmp_path, "--seeds", "3") == 0
    told = capsys.readouterr().err.splitlines()[0]
    assert told == f"{NAME} on cpu takes no time with the seeds of its preset"
    run = records.load(small_cells, tmp_path)
    assert run.config["seeds"] == [0, 1, 2]
    assert sorted({row["seed"] for row in run.records}) == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "count", "answer"),
    [
        ("roofline", "3", "--seeds must be left out for roofline, not repeated over seeds, got 3"),
        (NAME, "0", "--seeds must be at least 1, got 0"),
    ],
)
def test_seeds_that_cannot_be_are_refused(tmp_path, capsys, name, count, answer):
    """The option was ignored, and the reader believed in seeds that were never drawn."""
    folder = tmp_path / "new"
    assert main(["run", name, "--seeds", count, "--out", str(folder)]) == 2
    assert capsys.readouterr().err == f"attention-limits run: {answer}\n"
    assert not folder.exists()


# --- all results --------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    """Two experiments with a clock, in no time; one that rests on peers; the small one."""
    monkeypatch.setattr(registry, "EXPERIMENTS", ("scaling", "roofline", "speed", NAME))
    for name in ("scaling", "roofline"):
        monkeypatch.setattr(find(name), "measure", lambda config, progress: iter(()))


def results(folder, *options):
    return main(["results", "--out", str(folder), *options])


def test_results_are_all_experiments_that_need_no_peers(quick, tmp_path, capsys):
    """A new experiment was not among those that `make results` records, or its time was not."""
    assert results(tmp_path) == 0
    assert names(tmp_path) == ["roofline.json", "scaling.json", f"{NAME}.json"]
    assert records.load(find("scaling"), tmp_path).config == records.plain(find("scaling").Config())
    said = [
        "scaling takes about three minutes",
        "roofline takes about half a minute",
        f"{NAME} takes no time",
    ]
    assert capsys.readouterr().out.splitlines()[:3] == said
    shutil.rmtree(tmp_path)
    assert results(tmp_path, "--list") == 0
    assert capsys.readouterr().out.splitlines() == said
    assert not tmp_path.exists()


def test_results_are_measured_anew_unless_they_were_killed(quick, tmp_path, interrupted):
    """`make results` found the old record and did nothing; or it could never come to its end."""
    for options, steps in [((), STEPS // 2), ((), STEPS), (("--fresh",), STEPS)]:
        with Moments.counted():
            assert results(interrupted, *options) == 0
        assert Moments.kinds.count("step") == steps


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_results_stop_where_something_goes_wrong(quick, tmp_path, monkeypatch, error):
    """Ctrl-C stopped one of three, and the others went on; or a full disk counted as success."""

    def measure(config, progress):
        raise KeyboardInterrupt
        yield

    if error is OSError:
        full_after(monkeypatch, 0)
    monkeypatch.setattr(find("scaling"), "measure", measure)
    assert results(tmp_path) == (130 if error is KeyboardInterrupt else 2)
    assert names(tmp_path) == (["scaling.json"] if error is KeyboardInterrupt else [])
