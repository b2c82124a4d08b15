"""Recorded runs: kept whole or not at all, and refused where they are not what they seem."""

import errno
import json
import os
import platform
import re
import socket
from dataclasses import asdict, replace

import pytest

from attention_limits.experiments import scaling
from attention_limits.experiments.registry import EXPERIMENTS, find
from attention_limits.runs import provenance, records
from attention_limits.runs.records import Run

ROWS = [
    {"mechanism": "dense", "n": n, "quantity": "flops", "repeat": 0, "value": n * n}
    for n in (256, 512)
]


@pytest.fixture
def run():
    return records.new(scaling, scaling.PRESETS["smoke"], ROWS, complete=True)


@pytest.fixture
def edited(tmp_path, run):
    """A saved run of which a test may change what it likes."""

    def edit(change):
        records.save(tmp_path / "scaling.json", run)
        entries = json.loads((tmp_path / "scaling.json").read_text())
        entries = change(entries) or entries
        (tmp_path / "scaling.json").write_text(json.dumps(entries))
        return tmp_path

    return edit


# --- what is kept -------------------------------------------------------------------------------


def test_what_is_saved_is_what_is_loaded(tmp_path, run):
    """A number was rounded, or a field forgotten, on the way to the file."""
    records.save(tmp_path / "scaling.json", run)
    loaded = records.load(scaling, tmp_path)
    assert asdict(loaded) == json.loads(json.dumps(asdict(run)))
    assert loaded.values(quantity="flops", n=512) == [512 * 512]
    assert loaded.values(quantity="seconds") == []


def test_provenance_says_where_and_never_on_whose_machine(run):
    """A record cannot be judged, or it tells the name of somebody's computer."""
    made = run.provenance
    for name in ("date", "python", "torch", "numpy", "package", "processor", "cores", "device"):
        assert made[name], name
    assert made["threads"] == scaling.PRESETS["smoke"].threads
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", made["date"])
    text = json.dumps(made)
    assert platform.node() not in text
    assert socket.gethostname() not in text


def test_the_commit_is_that_of_this_checkout_and_no_other(tmp_path, monkeypatch):
    """A package in somebody's environment took the commit of the project around it."""
    assert re.fullmatch(r"[0-9a-f]{40}", provenance.provenance()["commit"])
    assert provenance.provenance()["dirty"] in (True, False)
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    assert (provenance.provenance()["commit"], provenance.provenance()["dirty"]) == (None, None)


def test_a_stamp_is_a_clause_for_a_caption(run):
    """A caption cannot say when and on what its times were taken."""
    made = {"date": "2026-03-01T12:00:00Z", "device": "A chip", "threads": 1, "torch": "2.13.0"}
    stamped = replace(run, provenance=made)
    assert stamped.stamp == "recorded on 1 March 2026 on A chip, 1 thread, PyTorch 2.13.0"
    assert replace(stamped, complete=False).stamp.endswith(", interrupted before its end")


# --- whole or not at all ------------------------------------------------------------------------


@pytest.mark.parametrize("dies", ["write", "replace"])
def test_a_failed_save_leaves_the_old_run(tmp_path, run, monkeypatch, dies):
    """The disk filled up in the middle, and both the new run and the old were gone."""
    path = tmp_path / "scaling.json"
    records.save(path, run)
    before = path.read_bytes()

    def half(self, text, **_):
        with open(self, "w") as file:
            file.write(text[: len(text) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def killed(self, target):
        raise KeyboardInterrupt

    name, stand_in = {"write": ("write_text", half), "replace": ("replace", killed)}[dies]
    monkeypatch.setattr(type(path), name, stand_in)
    with pytest.raises((OSError, KeyboardInterrupt)):
        records.save(path, replace(run, records=ROWS * 100))
    assert path.read_bytes() == before
    assert records.load(scaling, tmp_path).records == ROWS


def test_a_folder_is_made_and_left_clean(tmp_path):
    """The trial left a file behind, or asked for a folder that exists."""
    folder = tmp_path / "a" / "b"
    records.check_writable(folder)
    records.check_writable(folder)
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_is_refused_by_name(tmp_path):
    """Minutes of measuring were lost at the very end."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"folder .*file.below cannot keep a run: .+"):
        records.check_writable(tmp_path / "file" / "below")


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_or_locked_disk_is_refused_with_its_reason(tmp_path, monkeypatch, error):
    """A disk that takes a file's name and not its content passed the trial."""

    def fsync(_):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match=f"cannot keep a run: {os.strerror(error)}"):
        records.check_writable(tmp_path)


# --- refused ------------------------------------------------------------------------------------


def drop(entry):
    return lambda entries: entries.pop(entry) and None


def put(entry, value):
    return lambda entries: entries.update({entry: value})


REFUSED = {
    "no object": (lambda entries: [1, 2], "is no recorded run: it must hold"),
    "an entry less": (drop("provenance"), "is no recorded run: it must hold"),
    "an entry more": (put("more", 1), "is no recorded run: it must hold"),
    "records of another kind": (put("records", {}), "records must be a list"),
    "rows of another kind": (put("records", [1]), "each record must be a row"),
    "another experiment": (put("experiment", "roofline"), "is a run of 'roofline', not of"),
    "an older config": (lambda e: e["config"].pop("seed") and None, "outdated: its config"),
    "older columns": (put("records", [{"n": 1}]), "outdated: a row is mechanism, n, quantity"),
}


@pytest.mark.parametrize(("change", "complaint"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_run_of_today_is_refused(edited, change, complaint):
    """The figure of one experiment was drawn from the file of another, or of last year's."""
    with pytest.raises(ValueError, match=rf"scaling\.json.*{complaint}"):
        records.load(scaling, edited(change))


@pytest.mark.parametrize("content", ["", "{", '{"experiment": "scaling"', "\x00\x01"])
def test_a_corrupted_file_is_refused(tmp_path, content):
    """Half a file ended in a traceback of the JSON module."""
    (tmp_path / "scaling.json").write_text(content)
    with pytest.raises(ValueError, match=r"scaling\.json is corrupted, record it with"):
        records.load(scaling, tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "scaling.json").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ValueError, match=r"scaling\.json is corrupted"):
        records.load(scaling, tmp_path)


def test_a_missing_run_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(ValueError, match=r"no such run, record it with: attention-limits run sca"):
        records.load(scaling, tmp_path)


# --- what ships ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_ships_is_a_complete_run_of_today_s_full_preset(name):
    """A setting was changed and the book went on quoting the numbers of the old one."""
    run = records.load(find(name))
    assert isinstance(run, Run)
    assert run.complete
    assert run.config == json.loads(json.dumps(asdict(find(name).PRESETS["full"])))
    number = "seed" if "seed" in find(name).COLUMNS else "repeat"
    assert len({row[number] for row in run.records}) >= 5
