import io
import json
import re
import signal
import subprocess
import sys
from dataclasses import fields, replace
from types import ModuleType

import pytest

from attention_limits import claims
from attention_limits.claims import Claim
from attention_limits.cli import main
from attention_limits.cli.verify import SLOW, STARTING, expected_seconds
from attention_limits.evidence import Evidence, evidence
from attention_limits.experiments import registry
from attention_limits.experiments.registry import EXPERIMENTS

LEDGER = claims.load()
STATEMENTS = {
    "fake-true": "The softmax’s cost is cubic in $n$.",
    "fake-untrue": "Backward passes cost $n^3$.",
    "fake-broken": "Layers of $d_\\text{model}$ numbers break.",
    "later-open": "Nobody knows yet.",
}
ASSUMES = ("whole numbers", "$n < 5$")


@pytest.fixture(autouse=True)
def ledger(monkeypatch):
    """Four claims: one that holds, one that does not, one that crashes, one still open."""
    module = ModuleType("attention_limits.chapters.locality.evidence.fake")
    marked = evidence(rivals={"a basket with a pear in it": {"pears": 1}})
    module.true = marked(lambda pears=0: Evidence(4 + pears, 4, 0, "apples", "counted"))
    module.untrue = marked(lambda pears=0: Evidence(float("nan"), 4, 0, "apples", "counted"))
    module.broken = marked(lambda pears=0: 1 / 0)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    fakes = {
        "fake-true": ("false", ("fake.true",)),
        "fake-untrue": ("qualified", ("fake.untrue", "fake.true")),
        "fake-broken": ("open", ("fake.broken",)),
        "later-open": ("open", ()),
    }
    found = {
        id: Claim(
            id, "locality", "article", STATEMENTS[id], verdict, (), names, (), "Counted.", ASSUMES
        )
        for id, (verdict, names) in fakes.items()
    }
    monkeypatch.setattr(claims, "load", lambda: found)
    return found


def verify(*words):
    """In this process, which alone knows the fakes."""
    return main(["verify", "--jobs", "1", *words])


def verified(capsys, *words):
    """The ids of the claims that some words mean."""
    assert verify("--json", *words) in (0, 1)
    return [report["id"] for report in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize(
    ("ids", "status"),
    [
        (["fake-true"], 0),
        (["fake-true", "fake-true"], 0),
        (["fake-untrue"], 1),
        (["fake-broken"], 1),
        (["fake-true", "fake-untrue"], 1),
        (["later-open"], 1),
        ([], 1),
    ],
)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_exit_status_is_zero_only_if_everything_holds(ids, status, options):
    """A script that asks the status would take a failure, or nothing at all, for success."""
    assert verify(*ids, *options) == status


def test_without_words_every_claim_with_something_to_show_is_verified(capsys):
    """A claim escaped the run that is meant to catch everything."""
    assert verified(capsys) == ["fake-true", "fake-untrue", "fake-broken"]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (["cubic"], ["fake-true", "fake-untrue"]),
        (["CUBIC,"], ["fake-true", "fake-untrue"]),
        (["cubic", "backward"], ["fake-untrue"]),
        (["backward pass"], ["fake-untrue"]),
        (["softmax's"], ["fake-true"]),
        (["softmax’s"], ["fake-true"]),
        (["$n^3$"], ["fake-untrue"]),
        (["broken"], ["fake-broken"]),
        (["later-open", "fake-true"], ["fake-true", "later-open"]),
        (["later-open", "cubic", "softmax"], ["fake-true", "later-open"]),
    ],
    ids=" ".join,
)
def test_words_find_the_claims_that_have_all_of_them(words, ids, capsys):
    """Who does not know an id had to read 38 of them; a curly apostrophe hid a claim."""
    assert verified(capsys, *words) == ids


@pytest.mark.parametrize("word", ["text", "ub", "no"])
def test_parts_of_words_and_commands_of_tex_are_no_words(word, capsys):
    """ "no" found what nobody knows, and "text" each index that is set upright."""
    assert verify(word) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["fake-ture", "fake-true"], "no claim has 'ture'; did you mean fake-true or "),
        (["cubik"], "no claim has 'cubik'; did you mean cubic?"),
        (["", "*"], "words must have letters or digits, got '' '*'"),
        (["zzz"], "no claim has 'zzz'; attention-limits verify --list shows what there is"),
        (["layers", "cubic"], "no claim has 'layers' and 'cubic' together; attention-limits verif"),
    ],
    ids=" ".join,
)
def test_words_that_no_claim_has_are_answered_with_those_like_them(words, answer, capsys):
    """A misspelt id verified nothing and reported success."""
    assert verify(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"attention-limits verify: {answer}")


@pytest.mark.parametrize(("words", "count"), [([], 4), (["cubic"], 2)])
def test_a_list_says_what_is_claimed_and_runs_nothing(words, count, capsys, monkeypatch):
    """To find a claim took a browser, or all of the ledger's YAML."""
    monkeypatch.setattr(claims, "verify_all", pytest.fail)
    assert main(["verify", "--list", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == count
    assert lines[0] == "fake-true    false      The softmax’s cost is cubic in $n$."


def test_everything_can_hold(ledger, capsys):
    """Success is not reported as success."""
    del ledger["fake-untrue"], ledger["fake-broken"]
    assert verify() == 0
    assert "1 check of 1 claim: all passed" in capsys.readouterr().out


def test_json_is_a_list_that_machines_can_rely_on(capsys):
    """A field was renamed, or stdout carried something other than JSON."""
    verify("fake-untrue", "later-open", "--json")
    untrue, later = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert (untrue["id"], untrue["verdict"], untrue["ok"]) == ("fake-untrue", "qualified", False)
    assert untrue["assumes"] == list(ASSUMES)
    assert [result["ok"] for result in untrue["results"]] == [False, True]
    for result in untrue["results"]:
        assert set(result) == {field.name for field in fields(claims.Result)}
        assert result["evidence"]["holds"] is result["ok"]
        [rival] = result["rivals"]
        assert (rival["words"], rival["unit"]) == ("a basket with a pear in it", "apples")
        assert rival["holds"] is False
    assert (rival["value"], rival["found"], rival["expectation"]) == (5, "5 apples", "4")
    assert (later["id"], later["ok"], later["results"]) == ("later-open", False, [])


def test_a_claim_is_stated_and_judged_before_its_checks(capsys):
    """The engineer saw an id and a verdict, and neither what is claimed nor why it is judged so."""
    verify("fake-true")
    assert re.sub(r"\d+\.\d\d s", "0.00 s", capsys.readouterr().out) == (
        "fake-true\n"
        "  claim    The softmax’s cost is cubic in $n$.\n"
        "  verdict  false (refuted)\n"
        "  reason   Counted.\n"
        "  assumes  whole numbers; $n < 5$\n"
        "  ✓ evidence fake.true (0.00 s): 4 apples (expected 4, exactly) · counted\n"
        "      would have given 5 apples (expected 4) for a basket with a pear in it\n"
        "\n"
        "1 check of 1 claim: all passed\n"
        '  the verdict "false" stands: fake-true\n'
    )


def test_the_summary_says_which_verdicts_stand(capsys):
    """A false claim with a tick before it, and "all borne out" below, was read as a true one."""
    verify("fake-true", "fake-untrue", "fake-broken", "later-open")
    printed = capsys.readouterr().out
    assert "✗ evidence fake.broken" in printed
    assert "ZeroDivisionError: division by zero" in printed
    assert "\n  nothing to verify yet\n" in printed
    assert printed.endswith(
        "4 checks of 4 claims: 2 of them failed\n"
        '  the verdict "false" stands: fake-true\n'
        '  the verdict "qualified" is not borne out: fake-untrue\n'
        '  the verdict "open" is not borne out: fake-broken\n'
        "  nothing to verify yet: later-open\n"
    )


def test_checks_are_printed_as_they_pass(monkeypatch, capsys):
    """A reader looked at nothing for minutes, and then at everything at once."""
    seen, verify_all = [], claims.verify_all

    def slowly(chosen, jobs):
        for claim in chosen:
            seen.append(capsys.readouterr().out)
            yield from verify_all([claim], jobs)

    monkeypatch.setattr(claims, "verify_all", slowly)
    verify("fake-true", "fake-untrue")
    assert "reason" in seen[0]
    assert "✓ evidence fake.true" in seen[1]


def test_how_long_it_takes_is_announced(capsys):
    """Nine minutes of silence looked like a command that hangs."""
    verify("fake-untrue")
    assert re.fullmatch(
        r"2 checks of 1 claim, about \d+ seconds in 1 process\n", capsys.readouterr().err
    )


def test_more_processes_are_expected_to_take_less_time(ledger):
    """What is announced ignored who shares the work, or counted a shared piece twice."""
    chosen = [replace(ledger["fake-true"], id=f"c{k}", evidence=(f"e.c{k}",)) for k in range(20)]
    alone, shared = (expected_seconds(chosen, jobs) for jobs in (1, 2))
    assert alone - STARTING == pytest.approx(2 * (shared - STARTING))
    assert alone > STARTING
    assert expected_seconds([*chosen, chosen[0]], 1) == alone


def test_what_takes_long_is_still_there():
    """A slow piece was renamed, and the announcement forgot it."""
    named = {name for claim in LEDGER.values() for _, name in claim.pieces}
    assert named >= SLOW.keys()


def test_an_interrupt_ends_without_a_traceback(monkeypatch, capsys):
    """Who had seen enough got a page of Python."""

    def interrupted(chosen, jobs):
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr(claims, "verify_all", interrupted)
    assert verify("fake-true") == 130
    assert "fake-true" in capsys.readouterr().out


def test_processes_share_the_work(monkeypatch):
    """One core worked, and the others waited."""
    told, verify_all = [], claims.verify_all

    def asked(chosen, jobs):
        told.append(jobs)
        return verify_all(chosen, jobs=1)

    monkeypatch.setattr(claims, "verify_all", asked)
    main(["verify", "fake-true", "--jobs", "3", "--json"])
    main(["verify", "fake-true", "--json"])
    assert told == [3, None]


def test_progress_in_a_log_is_one_line_a_piece(capsys):
    """A log file was filled with the redrawn frames of a bar."""
    verify("fake-untrue", "--json")
    assert capsys.readouterr().err.splitlines()[1:] == [
        "[1/2] fake-untrue fake.untrue does not hold",
        "[2/2] fake-untrue fake.true holds",
    ]


def test_progress_in_a_terminal_is_a_bar(monkeypatch, capsys):
    """Someone who waits sees nothing move, or the bar spoils what stdout says."""
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    verify("fake-true", "--json")
    assert "verify: 100%" in terminal.getvalue()
    assert json.loads(capsys.readouterr().out)


def test_a_console_without_our_characters_still_prints_the_table(monkeypatch):
    """A check mark or a multiplication sign crashed the command where stdout is not UTF-8."""
    ascii_console = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", ascii_console)
    assert verify("fake-true") == 0
    ascii_console.flush()
    assert b"? evidence fake.true" in ascii_console.buffer.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize(
    "command", [[], ["verify"], ["run"], ["results"], ["bench"], ["check"], ["new"]]
)
def test_help_is_for_any_console(command, encoding, monkeypatch):
    """An ellipsis or a minus sign in the help ended in a UnicodeEncodeError."""
    console = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", console)
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    console.flush()
    assert console.buffer.getvalue().startswith(b"usage: attention-limits")


@pytest.mark.parametrize("argv", [[], ["verity"], ["verify", "--jason"], ["verify", "--jobs", "0"]])
def test_a_wrong_command_line_is_refused(argv, capsys):
    """A misspelt command or option was ignored."""
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert "usage: attention-limits" in capsys.readouterr().err


def test_version(capsys):
    """A bug report cannot say which version it is about."""
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("attention-limits ")


def test_help_does_not_wait_for_torch():
    """Asking how the command works took seconds."""
    check = """
import sys
from attention_limits.cli import main
try:
    main(["--help"])
finally:
    assert not {"torch", "sympy", "numpy"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
    assert "verify" in done.stdout


# --- run ----------------------------------------------------------------------------------------


@pytest.fixture
def experiment(monkeypatch):
    """The experiment "scaling", in three measurements that take no time."""
    from attention_limits.experiments import scaling

    def measure(config, progress):
        for n in (1, 2, 3):
            progress(n / 3, f"n = {n}")
            yield scaling._row("dense", n, "seconds", 0, config.d * n)

    monkeypatch.setattr(scaling, "measure", measure)
    return scaling


def saved(folder):
    return json.loads((folder / "scaling.json").read_text())


@pytest.mark.parametrize("preset", ["smoke", "book", "full"])
def test_run_saves_what_was_measured_and_says_where(experiment, tmp_path, capsys, preset):
    """The numbers scrolled by and were gone, or were those of another preset."""
    folder = tmp_path / "new"
    argv = ["run", "scaling", "--preset", preset, "--device", "cpu", "--out", str(folder)]
    assert main(argv) == 0
    run, config = saved(folder), experiment.PRESETS[preset]
    assert [row["value"] for row in run["records"]] == [config.d, 2 * config.d, 3 * config.d]
    assert run["config"]["lengths"] == list(config.lengths)
    assert run["complete"] is True
    out, err = capsys.readouterr()
    assert out == f"saved {folder / 'scaling.json'}\n"
    assert err.splitlines() == [
        f"scaling on cpu takes {experiment.DURATIONS[preset]}",
        "[ 33%] n = 1",
        "[ 67%] n = 2",
        "[100%] n = 3",
    ]


def often(config, progress):
    """Reports of training, a thousand of them, and a remark."""
    for step in range(1000):
        progress((step + 1) / 1000, f"step {step}, accuracy 0.5")
    progress(None, "a model diverged")
    return iter(())


def test_a_log_gets_a_line_each_percent_and_every_remark(experiment, tmp_path, monkeypatch, capsys):
    """Seventy trainings, a report every ten steps: the log of a night, and nothing found in it."""
    monkeypatch.setattr(experiment, "measure", often)
    main(["run", "scaling", "--preset", "smoke", "--out", str(tmp_path)])
    lines = capsys.readouterr().err.splitlines()[1:]
    assert lines[-1] == "  ..   a model diverged"
    assert len(lines) == 102
    assert lines[1] == "[  1%] step 5, accuracy 0.5"


def test_a_terminal_gets_a_bar_with_the_last_report(experiment, tmp_path, monkeypatch):
    """A run of half an hour looked as if nothing happened."""
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(experiment, "measure", often)
    monkeypatch.setattr(sys, "stderr", terminal)
    main(["run", "scaling", "--preset", "smoke", "--out", str(tmp_path)])
    shown = terminal.getvalue()
    assert "a model diverged" in shown
    assert "100%" in shown
    assert "step 999, accuracy 0.5" in shown


def test_run_saves_to_results_unless_told(experiment, tmp_path, monkeypatch):
    """A run was saved where nobody looks for it."""
    monkeypatch.chdir(tmp_path)
    assert main(["run", "scaling", "--preset", "smoke"]) == 0
    assert saved(tmp_path / "results")["config"]["device"] != "auto"


def test_an_interrupted_run_keeps_what_it_has(experiment, tmp_path, monkeypatch, capsys):
    """Ctrl-C after three minutes of four threw the three away, or passed them off as all."""
    whole = experiment.measure

    def interrupted(config, progress):
        for row in whole(config, progress):
            if row["n"] == 3:
                raise KeyboardInterrupt
            yield row

    monkeypatch.setattr(experiment, "measure", interrupted)
    assert main(["run", "scaling", "--out", str(tmp_path)]) == 130
    assert [row["n"] for row in saved(tmp_path)["records"]] == [1, 2]
    assert saved(tmp_path)["complete"] is False
    assert "incomplete: it was interrupted" in capsys.readouterr().out


@pytest.mark.slow
def test_a_real_run_is_interrupted_as_a_terminal_does_it(tmp_path):
    """The signal ended in a traceback somewhere in PyTorch, and nothing was saved."""
    command = ["run", "scaling", "--preset", "full", "--device", "cpu", "--out", str(tmp_path)]
    code = f"import sys; from attention_limits.cli import main; sys.exit(main({command!r}))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    for line in process.stderr:
        if "n = 512" in line:  # so that 256 is done
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "incomplete" in out
    run = saved(tmp_path)
    assert run["complete"] is False
    assert len([row for row in run["records"] if row["n"] == 256]) == 5 * (2 + 7)


def test_a_remark_is_told_as_one(experiment, tmp_path, monkeypatch, capsys):
    """A mechanism that stopped early left no trace in the log."""

    def measure(config, progress):
        progress(None, "dense stops at n = 2")
        return iter(())

    monkeypatch.setattr(experiment, "measure", measure)
    assert main(["run", "scaling", "--out", str(tmp_path)]) == 0
    assert "  ..   dense stops at n = 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("scalling", "did you mean scaling?"),
        ("zzz", f"did you mean {' or '.join(EXPERIMENTS)}?"),
    ],
)
def test_an_unknown_experiment_is_named_with_its_neighbours(name, answer, tmp_path, capsys):
    """A misspelt name ended in a traceback, or measured something else."""
    assert main(["run", name, "--out", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert (out, list(tmp_path.iterdir())) == ("", [])
    assert err == f"attention-limits run: there is no experiment {name!r}; {answer}\n"


def test_a_folder_that_cannot_be_is_refused_before_anything_is_measured(
    experiment, tmp_path, monkeypatch, capsys
):
    """Four minutes of measuring, and then no place to put it."""
    monkeypatch.setattr(experiment, "measure", pytest.fail)
    (tmp_path / "file").write_text("")
    assert main(["run", "scaling", "--out", str(tmp_path / "file")]) == 2
    assert "cannot keep a run" in capsys.readouterr().err


def test_a_device_that_is_not_here_is_refused(experiment, tmp_path, monkeypatch, capsys):
    """A typing error ended in a traceback of a backend's."""
    monkeypatch.setattr(experiment, "measure", pytest.fail)
    assert main(["run", "scaling", "--device", "gpu", "--out", str(tmp_path)]) == 2
    assert "device must be 'auto' or one that this machine has" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["scaling", "roofline"])
def test_each_experiment_runs_in_seconds_as_a_smoke_test(name, tmp_path):
    """An experiment that only CI's owner ever ran had not worked for weeks."""
    from attention_limits.runs import records

    assert main(["run", name, "--preset", "smoke", "--device", "cpu", "--out", str(tmp_path)]) == 0
    assert records.load(registry.find(name), tmp_path).complete
