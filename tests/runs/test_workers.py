"""Several workers share the cells of a run: processes of this machine, and those of a cluster."""

import gc
import os
import signal
import socket
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
from filelock import FileLock
from helpers import small_cells, small_runs
from helpers.small_cells import NAME, Config
from helpers.small_runs import Gate, came_once_but_for_the_killed, first_of_two_killed

from attention_limits.cli import main
from attention_limits.experiments import scaling
from attention_limits.runs import cells, records, runner, workers
from attention_limits.runs.cell_store import CellStore, LeftoverError
from attention_limits.runs.cluster import across, client_of
from attention_limits.runs.workers import LostWorkersError, TeamError

pytestmark = pytest.mark.slow  # each trains, or starts processes

CONFIG = Config()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The rows of a run in one process."""
    return runner.run(small_cells, CONFIG, tmp_path_factory.mktemp("whole")).records


@contextmanager
def two_at_once(config=CONFIG):
    """Two workers are in the middle of a cell, and one of them is killed."""
    with Gate(first_of_two_killed) as gate:
        yield gate, replace(config, gate=gate.port)


def shared(folder, whole, gate, told):
    """All cells are there once, as one process measures them, and nothing is left."""
    came_once_but_for_the_killed(gate.came)
    recorded = records.load(small_cells, folder)
    assert (recorded.records, recorded.complete) == (whole, True)
    assert sorted(path.name for path in folder.iterdir()) == [f"{NAME}.json"]
    shares = [share for share, _ in told if share is not None]
    assert shares[-1] == 1
    assert max(shares) == 1


# --- processes ----------------------------------------------------------------------------------


def test_workers_share_cells_and_take_up_those_of_one_that_is_killed(tmp_path, whole):
    """One worker did everything; or a killed one took its cell with it, or all the others."""
    told = []
    with two_at_once() as (gate, config):
        run = runner.run(
            small_cells, config, tmp_path, lambda *words: told.append(words), workers=2
        )
    assert run.records == whole
    shared(tmp_path, whole, gate, told)
    [died] = [words for share, words in told if share is None]
    assert died.startswith(f"worker {gate.came[0][0]} died (exit status -9); the others take up")


def test_a_run_whose_workers_all_died_keeps_what_they_finished(tmp_path, whole):
    """The run waited for ever, or was recorded as complete, or began anew."""

    def all_killed(came):
        if len(came) in (3, 4):
            os.kill(came[-1][0], signal.SIGKILL)
            return []
        return [came[-1][0]]

    with Gate(all_killed) as gate:
        config = replace(CONFIG, gate=gate.port)
        with pytest.raises(LostWorkersError, match="all workers died, and 2 cells are not"):
            runner.run(small_cells, config, tmp_path, workers=2)
        run = runner.run(small_cells, config, tmp_path)
    assert run.records == whole
    assert len(gate.came) == 4 + 2


def test_an_error_in_a_cell_stops_all_workers_and_says_where(tmp_path):
    """The others went on for hours, or the error was lost with the worker that had it."""
    with Gate(lambda came: []) as gate:  # nobody else gets to the end of a cell
        config = replace(CONFIG, broken="attention, seed 1", gate=gate.port)
        with pytest.raises(ZeroDivisionError, match="this cell is broken") as caught:
            runner.run(small_cells, config, tmp_path, workers=2)
    assert "in run_cell" in caught.value.__notes__[0]
    assert runner.is_under_way(small_cells, tmp_path)


def test_an_interrupt_stops_all_workers_and_keeps_what_they_finished(tmp_path, whole):
    """Ctrl-C left processes behind, or cost what was finished."""

    def third_interrupts(came):
        if len(came) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return [came[-1][0]] if len(came) != 3 else []

    told = []
    with Gate(third_interrupts) as gate:
        config = replace(CONFIG, gate=gate.port)
        run = runner.run(
            small_cells, config, tmp_path, lambda *words: told.append(words), workers=2
        )
        assert (run.complete, told[-1]) == (
            False,
            (None, "interrupted: the next run goes on from here"),
        )
        for process, _ in gate.came:
            with pytest.raises(ProcessLookupError):
                os.kill(process, 0)
        assert runner.run(small_cells, config, tmp_path).records == whole
    assert len(run.records) < len(whole)


def test_a_worker_of_other_code_is_refused(tmp_path):
    """A worker of yesterday's code measured half of the rows."""
    store = CellStore(small_cells, CONFIG, tmp_path)
    head = {**store.head, "code": "0123456789abcdef"}
    with pytest.raises(
        LeftoverError, match=r"worker must measure the same .* 0123456789abcdef, no"
    ):
        workers.joined(small_cells.__name__, CONFIG, tmp_path, head)


def test_what_others_measure_is_not_thrown_away(tmp_path, monkeypatch):
    """`--fresh` deleted the cells of a run that was under way in another terminal."""
    store = CellStore(small_cells, CONFIG, tmp_path)
    store.begin(fresh=False)
    with store.claimed("attention, seed 0", wait=False) as is_mine:
        assert is_mine
        with pytest.raises(LeftoverError, match="another process measures 'attention, seed 0'"):
            runner.run(small_cells, CONFIG, tmp_path, fresh=True)
        with CellStore(small_cells, CONFIG, tmp_path).claimed(
            "attention, seed 0", wait=False
        ) as too:
            assert not too
    assert runner.run(small_cells, CONFIG, tmp_path, fresh=True).complete


def test_a_run_that_was_thrown_away_or_finished_meanwhile_is_noticed(tmp_path, whole):
    """A process that came late measured all again, or wrote cells into a run of other settings."""
    late = CellStore(small_cells, CONFIG, tmp_path)
    late.begin(fresh=False)
    finished = runner.run(small_cells, CONFIG, tmp_path)
    with late.claimed("attention, seed 0", wait=True) as is_mine:
        assert not is_mine
    assert late.finish(()) == finished
    CellStore(small_cells, replace(CONFIG, seeds=(7,)), tmp_path).begin(fresh=True)
    with late.claimed("attention, seed 0", wait=True) as is_mine:
        assert not is_mine
    other = replace(CONFIG, seeds=(8,))
    store = CellStore(small_cells, other, tmp_path)
    with pytest.raises(LeftoverError, match="was thrown away meanwhile"):
        store.finish(())


def test_a_cell_that_was_finished_while_one_waited_for_it_is_not_measured_again(
    tmp_path, monkeypatch
):
    """The last cell of another process was measured by everybody who had waited for it."""
    store = CellStore(small_cells, CONFIG, tmp_path)
    store.begin(fresh=False)

    class Waits(FileLock):
        def acquire(self, **how):
            store.keep("attention, seed 0", {"rows": [], "provenance": {}})
            return super().acquire(**how)

    monkeypatch.setattr("attention_limits.runs.cell_store.FileLock", Waits)
    with store.claimed("attention, seed 0", wait=True) as is_mine:
        assert not is_mine


# --- refused ------------------------------------------------------------------------------------


def test_what_is_measured_in_one_piece_takes_no_workers(tmp_path):
    """Five processes were started for the one that had something to do."""
    for how in ({"workers": 2}, {"scheduler": "tcp://127.0.0.1:1"}):
        [name] = how
        with pytest.raises(TeamError, match=f"{name} must be left out: scaling is measured in one"):
            runner.run(scaling, scaling.PRESETS["smoke"], tmp_path / "new", **how)
    assert not (tmp_path / "new").exists()


def test_what_is_timed_takes_no_workers(tmp_path, monkeypatch):
    """Each worker's times were those of a busy machine."""
    monkeypatch.setattr(small_cells, "TIMED", True, raising=False)
    with pytest.raises(TeamError, match="workers must be 1: small_cells is timed"):
        runner.run(small_cells, CONFIG, tmp_path, workers=2)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--workers", "0"), "workers must be at least 1, got 0"),
        (("--workers", "2", "--scheduler", "tcp://127.0.0.1:1"), "workers must be left out where"),
        (("--scheduler", "nobody"), "scheduler must be the address of a Dask scheduler that ans"),
    ],
)
def test_the_command_refuses_hands_that_cannot_be(tmp_path, capsys, options, complaint):
    """An option was ignored, or ended in a traceback."""
    with small_runs.install():
        status = main(["run", NAME, "--device", "cpu", "--out", str(tmp_path), *options])
    assert status == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith(f"attention-limits run: {complaint}")
    assert list(tmp_path.iterdir()) == []


def test_without_dask_the_command_says_what_to_install(tmp_path, capsys, monkeypatch):
    gc.collect()  # a client that reached nobody still wants its modules when it goes
    monkeypatch.setitem(sys.modules, "distributed", None)
    with small_runs.install():
        options = ["--scheduler", "tcp://127.0.0.1:1", "--out", str(tmp_path)]
        assert main(["run", NAME, "--device", "cpu", *options]) == 2
    assert "pip install 'attention-limits[cluster]'" in capsys.readouterr().err


def test_the_command_has_workers(tmp_path, whole, capsys):
    """The option was read, and one process did everything."""
    with small_runs.install(), Gate(lambda came: [came[-1][0]]) as gate:
        small_cells.PRESETS["full"] = replace(CONFIG, gate=gate.port)
        try:
            options = ["--workers", "2", "--out", str(tmp_path)]
            assert main(["run", NAME, "--device", "cpu", *options]) == 0
        finally:
            small_cells.PRESETS["full"] = CONFIG
    assert os.getpid() not in {process for process, _ in gate.came}
    assert records.load(small_cells, tmp_path).records == whole


# --- a cluster ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster():
    """Two workers of a Dask cluster, in processes of their own."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as started:
        yield started


def test_a_cluster_shares_cells_and_takes_up_those_of_a_worker_that_is_killed(
    tmp_path, whole, cluster
):
    """A killed worker took its cell with it, or had it measured twice; or rows were others."""
    told = []
    with two_at_once() as (gate, config):
        run = runner.run(
            small_cells,
            config,
            tmp_path,
            lambda *words: told.append(words),
            scheduler=cluster.scheduler_address,
        )
    assert run.records == whole
    shared(tmp_path, whole, gate, told)
    assert len({process for process, _ in gate.came}) >= 2


def test_a_cluster_that_does_not_see_the_folder_sends_cells_back(tmp_path, whole, cluster):
    """What was measured on another machine stayed there."""
    store, todo = CellStore(small_cells, CONFIG, tmp_path), cells.named(small_cells.cells(CONFIG))
    store.begin(fresh=False)
    store.folder = tmp_path / "elsewhere"  # which is what workers are told
    with client_of(cluster.scheduler_address) as client:
        across(client, store, todo, lambda *_: None)
    assert store.gathered(todo, complete=True).records == whole
    assert not store.folder.exists()


def test_a_cluster_waits_for_what_another_process_measures(tmp_path, whole, cluster):
    """The run was recorded without the cell that somebody else had, or that was measured twice."""
    other, finished = ExitStack(), []
    store = CellStore(small_cells, CONFIG, tmp_path)
    store.begin(fresh=False)
    assert other.enter_context(store.claimed("attention, seed 1", wait=False))

    def progress(share, words):
        finished.extend([words] if "is finished" in words else [])
        if len(finished) == 3:
            other.close()

    address = cluster.scheduler_address
    assert runner.run(small_cells, CONFIG, tmp_path, progress, scheduler=address).records == whole
    assert finished[3:] == ["attention, seed 1: is finished"]


def test_an_error_on_a_cluster_is_raised_here(tmp_path, cluster):
    """The run ended as if it were complete, or asked for ever."""
    config = replace(CONFIG, broken="recurrent, seed 1")
    with pytest.raises(ZeroDivisionError, match="this cell is broken"):
        runner.run(small_cells, config, tmp_path, scheduler=cluster.scheduler_address)


def test_a_gate_outlives_who_is_killed_before_it_says_who_it_is(tmp_path, whole):
    """A worker was stopped on the doorstep, and all that came later waited for minutes."""
    with Gate(lambda came: [came[-1][0]]) as gate:
        for said in (b"", b"12"):
            with socket.create_connection(("localhost", gate.port)) as door:
                door.sendall(said)
        config = replace(CONFIG, gate=gate.port)
        assert runner.run(small_cells, config, tmp_path).records == whole
    assert {process for process, _ in gate.came} == {os.getpid()}
