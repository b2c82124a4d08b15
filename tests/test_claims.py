import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from helpers.sources import pages

from attention_limits import chapters, claims
from attention_limits.claims import Claim, Result
from attention_limits.evidence import Evidence, evidence, rivals

ROOT = Path(__file__).parents[1]
LEDGER = claims.load()

# The questions of the article that the book set out to answer, by chapter. Those of ours may join
# without being listed here.
QUESTIONS = {
    "quadratic-cost": "cost-time cost-softmax cost-backward cost-root-cause cost-rnn",
    "positional-encodings": """pos-need pos-sinusoid-relative pos-periodic pos-learned-compute
        pos-learned-range""",
    "locality": "loc-efficiency loc-parameters loc-expressive loc-highres loc-blackhole",
    "temporal-dynamics": """temp-static temp-agreement temp-rnn-memory temp-streaming-loss
        temp-streaming-rnn temp-streaming-recompute""",
    "training-stability": "stab-mask stab-scale-purpose stab-scale-distance stab-scale-cost",
    "future-directions": """future-synaptic future-block-sparse future-time-aware
        future-lstm-position future-fractal future-clock future-quote future-neglected""",
}


# --- the book's own ledger --------------------------------------------------------------


def test_every_question_of_the_article_is_a_claim_in_its_chapter():
    """A question was dropped, renamed, moved to another chapter; or ours was laid at its door."""
    asked = {id: chapter for chapter, ids in QUESTIONS.items() for id in ids.split()}
    found = {claim.id: claim.chapter for claim in LEDGER.values() if claim.origin == "article"}
    assert found == asked


def test_claims_stand_in_the_order_of_the_chapters():
    """The table of verdicts jumped between chapters."""
    order = [claims.CHAPTERS.index(claim.chapter) for claim in LEDGER.values()]
    assert order == sorted(order)


def test_every_claim_with_a_verdict_has_its_card():
    """The table of verdicts links to nothing, and the build says so in the words of Sphinx."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in pages("chapters").values())
    cards = re.findall(r"^`{3,}\{claim\} (\S+)$", text, flags=re.MULTILINE)
    decided = {claim.id for claim in LEDGER.values() if claim.verdict != "open"}
    assert decided - set(cards) == set(), "no {claim} card on any page of chapters/"
    assert len(cards) == len(set(cards))


def test_every_citation_is_in_the_bibliography():
    """A claim cites a source that the book cannot print."""
    bibliography = (ROOT / "references.bib").read_text(encoding="utf-8")
    keys = set(re.findall(r"^@\w+\{([^,\s]+),", bibliography, flags=re.MULTILINE))
    cited = {(claim.id, key) for claim in LEDGER.values() for key in claim.citations}
    assert {(id, key) for id, key in cited if key not in keys} == set()


@pytest.mark.parametrize("claim", LEDGER.values(), ids=LEDGER)
def test_evidence_is_marked_as_such(claim):
    """Without ``@evidence`` a build gathers it as often as pages show it."""
    pieces = {name: claims.resolve(claim, "evidence", name) for name in claim.evidence}
    assert [name for name, piece in pieces.items() if not hasattr(piece, "__wrapped__")] == []


@pytest.mark.parametrize("claim", LEDGER.values(), ids=LEDGER)
def test_evidence_names_a_rival(claim):
    """Evidence that nothing could fail is no evidence: CONTRIBUTING, "A claim"."""
    pieces = {name: claims.resolve(claim, "evidence", name) for name in claim.evidence}
    assert [name for name, piece in pieces.items() if not rivals(piece)] == []


@pytest.mark.parametrize("claim", LEDGER.values(), ids=LEDGER)
def test_a_statement_is_one_sentence_with_its_mathematics_closed(claim):
    """A statement would print as half a sentence, or as raw TeX."""
    assert claim.statement[0].isupper() or claim.statement[0] == "*"
    assert claim.statement.endswith((".", '."', '".'))
    assert claim.statement.count("$") % 2 == 0
    assert "\n" not in claim.statement + claim.reason


@pytest.mark.parametrize("claim", LEDGER.values(), ids=LEDGER)
def test_everything_a_claim_names_exists(claim):
    """The ledger names a function that nobody has written, or has renamed since."""
    for kind, name in claim.pieces:
        assert callable(claims.resolve(claim, kind, name))


# --- what the ledger refuses ------------------------------------------------------------


def entry(**changes):
    """One claim with a verdict, as the file has it, with some fields changed or (None) left out."""
    fields = {
        "id": "fake-claim",
        "chapter": "locality",
        "origin": "article",
        "statement": "Two and two make four.",
        "verdict": "holds",
        "reason": "Count them.",
        "assumes": ["whole numbers"],
        "derivations": ["fake.sum"],
        "evidence": ["fake.count"],
        "citations": [],
    }
    return {k: v for k, v in (fields | changes).items() if v is not None}


def ledger_of(tmp_path, *entries):
    path = tmp_path / "claims.yml"
    path.write_text(yaml.safe_dump(list(entries)), encoding="utf-8")
    return claims.load(path)


def test_reads_another_ledger(tmp_path):
    """A field was lost on the way from the file to the claim."""
    assert ledger_of(tmp_path, entry())["fake-claim"] == Claim(
        id="fake-claim",
        chapter="locality",
        origin="article",
        statement="Two and two make four.",
        verdict="holds",
        derivations=("fake.sum",),
        evidence=("fake.count",),
        citations=(),
        reason="Count them.",
        assumes=("whole numbers",),
    )


@pytest.mark.parametrize("field", ["reason", "assumes", "evidence"])
@pytest.mark.parametrize("verdict", ["holds", "qualified", "false"])
def test_a_verdict_with_nothing_behind_it_is_refused(tmp_path, verdict, field):
    """The book could publish a verdict that it has not shown."""
    empty = None if field == "reason" else []
    with pytest.raises(ValueError, match=rf"'fake-claim'.*{verdict}.*needs {field}"):
        ledger_of(tmp_path, entry(verdict=verdict, **{field: empty}))


def test_an_open_claim_needs_nothing_but_may_gather_evidence(tmp_path):
    """A claim could not be listed before it is argued, or while it is."""
    nothing = {"reason": None, "assumes": None, "derivations": [], "evidence": []}
    ledger = ledger_of(
        tmp_path, entry(verdict="open", **nothing), entry(id="fake-two", verdict="open")
    )
    assert [claim.pieces for claim in ledger.values()] == [
        [],
        [("derivation", "fake.sum"), ("evidence", "fake.count")],
    ]


def test_an_unquoted_false_is_a_verdict(tmp_path):
    """YAML's usual loaders turn `verdict: false` into a boolean."""
    path = tmp_path / "claims.yml"
    path.write_text(yaml.safe_dump([entry()]).replace("verdict: holds", "verdict: false"))
    assert claims.load(path)["fake-claim"].verdict == "false"


@pytest.mark.parametrize(
    "field", ["chapter", "origin", "statement", "verdict", "derivations", "evidence", "citations"]
)
def test_a_missing_field_is_named(tmp_path, field):
    """A claim with a hole in it was accepted."""
    with pytest.raises(ValueError, match=f"'fake-claim': {field} is missing"):
        ledger_of(tmp_path, entry(**{field: None}))


def test_a_claim_without_an_id_is_refused(tmp_path):
    """A claim that nobody can name was accepted."""
    with pytest.raises(ValueError, match="id is missing"):
        ledger_of(tmp_path, entry(id=None))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("chapter", "locallity"),
        ("origin", "rumour"),
        ("verdict", "true"),
        ("verdict", ""),
        ("statement", " "),
        ("statement", ["two", "lines"]),
        ("reason", ""),
        ("derivations", "fake.sum"),
        ("evidence", {"fake": "count"}),
        ("citations", [["nested"]]),
    ],
)
def test_a_value_that_cannot_be_is_named(tmp_path, field, value):
    """A misspelt verdict or chapter, or text where a list belongs, was accepted."""
    with pytest.raises(ValueError, match=f"'fake-claim': {field} must be"):
        ledger_of(tmp_path, entry(**{field: value}))


def test_an_unknown_field_is_named(tmp_path):
    """A misspelt field was ignored, and what it says lost."""
    with pytest.raises(ValueError, match="'fake-claim': unknown field 'evidences'"):
        ledger_of(tmp_path, entry(evidences=["fake.count"]))


def test_a_duplicate_id_is_named(tmp_path):
    """The second claim of one id replaced the first."""
    with pytest.raises(ValueError, match="'fake-claim': id is used twice"):
        ledger_of(tmp_path, entry(), entry(statement="Two and two make five."))


@pytest.mark.parametrize("text", ["", "fake-claim: {}", "- fake-claim"])
def test_a_file_that_is_no_list_of_claims_is_refused(tmp_path, text):
    """A ledger of another shape was taken for an empty one."""
    path = tmp_path / "claims.yml"
    path.write_text(text)
    with pytest.raises(ValueError, match="claims: "):
        claims.load(path)


# --- finding and running what a claim names ----------------------------------------------


class Proof:
    def __init__(self, error=None):
        self.error = error

    def prove(self):
        if self.error:
            raise self.error


@pytest.fixture
def fake(monkeypatch):
    """A module `fake` of evidence and one of derivations, with good and bad pieces."""
    derivations = ModuleType("attention_limits.chapters.future_directions.derivations")
    derivations.right = lambda: Proof()
    derivations.wrong = lambda: Proof(AssertionError("step 'sum': 4 is not 5"))
    pieces = ModuleType("attention_limits.chapters.future_directions.evidence.fake")
    marked = evidence(rivals={"a basket with a pear in it": {"pears": 1}})
    pieces.true = marked(lambda pears=0: Evidence(4 + pears, 4, 0, "apples", "counted"))
    pieces.untrue = marked(lambda pears=0: Evidence(5, 4, 0, "apples", "counted"))
    pieces.broken = marked(lambda pears=0: 1 / 0)
    pieces.fragile = marked(lambda pears=0: Evidence(4 / (1 - pears), 4, 0, "apples", "counted"))
    pieces.boasting = marked(lambda pears=0: ModuleType("holds"))
    pieces.gullible = marked(lambda pears=0: Evidence(4, 4, 0, "apples", "counted"))
    pieces.lonely = evidence()(lambda: Evidence(4, 4, 0, "apples", "counted"))
    pieces.unmarked = lambda: Evidence(4, 4, 0, "apples", "counted")
    pieces.CONSTANT = 4
    for module in (derivations, pieces):
        monkeypatch.setitem(sys.modules, module.__name__, module)


def claim_of(derivations=(), evidence=()):
    return Claim(
        "fake-claim", "future-directions", "article", "…", "open", derivations, evidence, ()
    )


@pytest.mark.parametrize("name", ["fake.gone", "gone.true", "fake.CONSTANT", "fake", "a.b.c", ""])
def test_an_unknown_name_is_refused_with_its_claim(fake, name):
    """A claim could point at nothing, or at something that cannot be run."""
    with pytest.raises(ValueError, match=f"'fake-claim'.*'{name}'"):
        claims.resolve(claim_of(), "evidence", name)


def test_a_module_that_fails_to_import_is_not_called_unknown(monkeypatch, tmp_path):
    """A missing dependency was reported as a misspelt name."""
    evidence = tmp_path / "future_directions" / "evidence"
    evidence.mkdir(parents=True)
    (evidence / "needy.py").write_text("import a_dependency_that_is_not_there")
    monkeypatch.setattr(chapters, "__path__", [*chapters.__path__, str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="a_dependency_that_is_not_there"):
        claims.resolve(claim_of(), "evidence", "needy.x")


def test_what_holds_is_reported_with_its_numbers(fake):
    """A proof or a piece of evidence that holds was reported without saying what it found."""
    proof, evidence = claims.verify(claim_of(["right"], ["fake.true"]))
    assert (proof.kind, proof.ok, proof.evidence) == ("derivation", True, None)
    assert (evidence.claim, evidence.name, evidence.ok) == ("fake-claim", "fake.true", True)
    assert evidence.detail == "4 apples (expected 4, exactly) · counted"
    assert evidence.evidence["value"] == 4
    assert evidence.seconds >= 0
    [rival] = evidence.rivals
    assert (rival["words"], rival["value"]) == ("a basket with a pear in it", 5)
    assert claims.would_read(rival) == (
        "would have given 5 apples (expected 4) for a basket with a pear in it"
    )


def test_a_shared_piece_and_its_rivals_run_once(fake, monkeypatch):
    """Each card that shows a piece had its rivals run once more."""
    ran = []

    @evidence(rivals={"a basket with a pear in it": {"pears": 1}})
    def counted(pears=0):
        ran.append(pears)
        return Evidence(4 + pears, 4, 0, "apples", "counted")

    monkeypatch.setattr(
        sys.modules[f"{chapters.__name__}.future_directions.evidence.fake"],
        "x",
        counted,
        raising=False,
    )
    twice = [replace(claim_of(evidence=["fake.x"]), id=name) for name in ("one", "two")]
    results = list(claims.verify_all(twice, jobs=1))
    assert ran == [0, 1]
    assert [(result.claim, len(result.rivals)) for result in results] == [("one", 1), ("two", 1)]


@pytest.mark.parametrize(
    ("derivations", "evidence", "detail"),
    [
        (["wrong"], [], "AssertionError: step 'sum': 4 is not 5"),
        ([], ["fake.untrue"], "5 apples (expected 4, exactly) · counted"),
        ([], ["fake.broken"], "ZeroDivisionError: division by zero"),
        ([], ["fake.boasting"], "TypeError: evidence must be an Evidence, got module"),
        ([], ["fake.gone"], "'fake.gone', which is no function"),
        (
            [],
            ["fake.lonely"],
            "4 apples (expected 4, exactly) · counted; but it names no rival: give",
        ),
        ([], ["fake.unmarked"], "must be marked with @evidence"),
        ([], ["fake.fragile"], "rival 'a basket with a pear in it': ZeroDivisionError"),
        (
            [],
            ["fake.gullible"],
            "but a rival passes as well: it would have given 4 apples (expected 4) for a basket",
        ),
    ],
)
def test_what_does_not_hold_says_why(fake, derivations, evidence, detail):
    """A failure was swallowed, or passed for success."""
    [result] = claims.verify(claim_of(derivations, evidence))
    assert not result.ok
    assert detail in result.detail


def test_one_failure_does_not_stop_the_others(fake):
    """What stands behind a broken piece of evidence was never looked at."""
    names = ["fake.broken", "fake.gone", "fake.true"]
    results = list(claims.verify(claim_of(["wrong", "right"], names)))
    assert [result.ok for result in results] == [False, True, False, False, True]
    assert all(isinstance(result, Result) for result in results)
