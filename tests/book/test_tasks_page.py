"""The page of the tasks: every task is there, and its example is one that the oracle answers."""

import dataclasses
import re

import pytest
from bs4 import BeautifulSoup
from helpers.small_book import ROOT, Book
from helpers.tables import assert_rows_for

from attention_limits import tasks
from attention_limits.tasks import IGNORE
from attention_limits_book import tasks as pages

PAGE = (ROOT / "library/tasks.md").read_text(encoding="utf-8")


def items(name):
    """Each token of the example as (time, token, answer), None for what is not there."""
    for item in BeautifulSoup(pages.text(name), "html.parser").select("li"):
        found = (item.select_one(f".{part}") for part in ("time", "token", "answer"))
        yield tuple(x and x.get_text() for x in found)


# --- as written ---------------------------------------------------------------------------------


def test_every_task_is_on_the_page():
    """A task was written and nobody can look it up."""
    named = re.findall(r"^```\{tasks\} (\w+)$", PAGE, re.MULTILINE)
    assert_rows_for(pages.modules(), {"library/tasks.md, as {tasks} and the module": named})
    shown = [name for module in named for name in pages.modules()[module]]
    table = "EXAMPLES in attention_limits_book/tasks.py"
    assert_rows_for(tasks.TASKS, {"the tables of library/tasks.md": shown, table: pages.EXAMPLES})


@pytest.mark.parametrize("name", tasks.TASKS)
def test_every_token_has_a_name_of_its_own(name):
    """Two tokens look alike, or a sequence holds one that has no name."""
    example = pages.EXAMPLES[name]
    task, _ = example.make(name)
    words = list(example.words(task))
    assert len(words) == len(set(words)) == task.vocabulary
    answers = list(example.answers or words)[: task.classes]
    assert len(set(answers)) == task.classes


@pytest.mark.parametrize("name", tasks.TASKS)
def test_the_example_is_what_the_oracle_says(name):
    """The page answers a question that it did not ask, or not as the rule does."""
    example = pages.EXAMPLES[name]
    task, batch = example.make(name)
    words = list(example.words(task))
    answers = list(example.answers or words)
    shown = list(items(name))
    assert [token for _, token, _ in shown] == [words[x] for x in batch.inputs[0]]
    right = [None if y == IGNORE else answers[y] for y in task.oracle(batch)[0]]
    assert [answer for *_, answer in shown] == right
    assert set(right) > {None} or None not in right
    timed = [time is not None for time, *_ in shown]
    assert timed == [batch.times is not None] * example.n


@pytest.mark.parametrize("name", tasks.TASKS)
def test_the_call_gives_the_example(name):
    """The reader types what the page says and gets another sequence."""
    _, batch = pages.EXAMPLES[name].make(name)
    typed = eval(pages.EXAMPLES[name].call(name), {"tasks": tasks})
    assert (typed.inputs == batch.inputs).all()
    assert (typed.targets == batch.targets).all()


def test_words_of_the_agreement():
    """The sentence on the page is not the one that the task itself would print."""
    task, batch = pages.EXAMPLES["agreement"].make("agreement")
    shown = [token for _, token, _ in items("agreement")]
    verb = list(items("agreement"))[-1][-1]
    assert task.words(batch) == [" ".join([*shown[:-1], verb]).replace(" ,", ",")]


@pytest.mark.parametrize("name", tasks.TASKS)
def test_what_is_asked_is_said_and_not_only_framed(name):
    """A frame that nobody hears: a screen reader runs token and answer together."""
    for item in BeautifulSoup(pages.text(name), "html.parser").select("li.asked"):
        assert ", answer: " in item.get_text()


# --- as built -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    book = Book(tmp_path_factory.mktemp("tasks"))
    book.claim()
    book.write("references.bib", (ROOT / "references.bib").read_text(encoding="utf-8"))
    book.write("index.md", "# A small book\n")
    book.write("chapters/references.md", "# References\n\n```{bibliography}\n```\n")
    book.write("library/tasks.md", PAGE)
    book.contents("chapters/references", "library/tasks")
    built = book.build()
    assert built.status == 0, built.output
    return book


@pytest.fixture(scope="module")
def page(book):
    return BeautifulSoup(book.html("library/tasks"), "html.parser")


@pytest.mark.slow
@pytest.mark.parametrize("name", tasks.TASKS)
def test_a_task_has_its_rule_its_parameters_and_its_example(page, name):
    """Something that a reader came to look up is not there."""
    section = page.find("section", id=name.replace("_", "-"))
    assert section.find("h3").get_text().removesuffix("#") == name
    module = tasks.find(name).__module__.rpartition(".")[2]
    assert section.parent["id"] == f"tasks-{module}"
    signature = section.select_one("dt.sig").get_text()
    kind = tasks.find(name)
    for parameter in dataclasses.fields(kind):
        assert (f"{parameter.name}={parameter.default!r}" in signature) == parameter.init
    assert kind.__doc__.partition("\n")[0] in section.get_text()
    assert pages.EXAMPLES[name].call(name) in [code.get_text() for code in section("code")]
    assert str(section.select_one("ol.tokens")) == str(
        BeautifulSoup(pages.text(name), "html.parser").ol
    )


@pytest.mark.slow
def test_the_table_lists_and_links_every_task(page):
    """A row is missing or wrong, or its link leads nowhere."""
    [table] = page.select("table.tasks")
    rows = {row.a.get_text(): row for row in table.select("tbody tr")}
    assert list(rows) == list(tasks.TASKS)
    for name, row in rows.items():
        target = page.find(id=row.a["href"].removeprefix("#"))
        assert target.find_parent("section")["id"] == name.replace("_", "-")
    cells = [cell.get_text().strip() for cell in rows["token_back"].select("td")]
    parameters = "k=3, symbols=16, dense=True"
    assert cells == ["token_back", "Which token stands k back?", parameters, "16", "16", "1/16"]
    assert rows["rule_110"].select("td")[-1].get_text(strip=True) == "5/8"


@pytest.mark.slow
def test_what_a_docstring_refers_to_is_on_the_page(page):
    """Tokens are "as elements counts them", and nothing says how it does."""
    assert page.find(id="attention_limits.tasks.states.elements")


@pytest.mark.slow
def test_ids_are_unique(page):
    """A link led to the first of two: pieces of reStructuredText number their citations alike."""
    ids = [element["id"] for element in page.select("[id]")]
    assert len(ids) == len(set(ids))
