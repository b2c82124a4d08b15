"""What a build refuses, what it repeats, and what it survives: small books built for real."""

import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import nbformat
import pytest
from bs4 import BeautifulSoup
from helpers.small_book import CLAIM, OPEN, REFERENCE, ROOT, Book, build_command, cell, recorded
from helpers.small_cells import PATIENCE
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.cache.db import NbCacheRecord
from myst_nb.core.utils import coalesce_streams
from PIL import Image

from attention_limits_book import addresses, branch, downloads, execution
from attention_limits_book.addresses import REF
from attention_limits_book.fingerprints import is_notebook
from attention_limits_book.versions import LEDGER, LISTED_HERE, Ledger

BOOK = Path(__file__).parents[2] / "_build" / "html"

# --- a cell that crashes ------------------------------------------------------------------------

CRASH = cell("apples = 4\napples / 0  # the culprit")


def assert_names_the_crash(built):
    assert built.status != 0
    assert built.complaints("second.md")
    assert "ZeroDivisionError: division by zero" in built.output
    assert "apples / 0  # the culprit" in built.output


@pytest.mark.slow
def test_a_cell_that_crashes_fails_every_build_until_it_is_mended(book):
    """A crash passed on the second try: Sphinx saw no page changed and read none again.

    It saves what it has read before it writes, so that a kill in between hid a crash for good.
    """
    book.page("second", recorded("second"), CRASH)
    assert book.build(DIE="writing").status == -signal.SIGKILL
    assert_names_the_crash(book.build())
    assert_names_the_crash(book.build())
    book.page("second", recorded("second"), CRASH.replace("/ 0", "/ 2"))
    mended = book.build()
    assert mended.status == 0, mended.output
    assert "2.0" in book.html("chapters/second")


# --- a build that is killed ---------------------------------------------------------------------


GATE = """
import socket
if "GATE" in os.environ:
    socket.create_connection(("localhost", int(os.environ["GATE"]))).recv(1)
"""


@pytest.mark.deep  # one that is killed while it writes is run again above
def test_a_killed_build_completes_when_run_again(book):
    """Half of a cache, or of an environment, was left where the next build trips over it."""
    book.page("second", recorded("second", then=GATE))
    with socket.create_server(("localhost", 0)) as gate:
        gate.settimeout(PATIENCE)
        process = book.start(GATE=str(gate.getsockname()[1]))
        try:
            door, _ = gate.accept()
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
    door.close()
    assert "second" in book.ran(), said
    assert process.returncode == -signal.SIGKILL
    assert not list(book.file("_build/html").glob("**/*.html"))

    again = book.build()
    assert again.status == 0, again.output
    for page in ("index", "chapters/first", "chapters/second", "chapters/verdicts"):
        assert "</html>" in book.html(page)


# --- what a rebuild repeats ---------------------------------------------------------------------


@pytest.mark.slow
def test_a_rebuild_repeats_what_has_changed_and_no_more(book):
    """A reader of the book would see old numbers, or its author would wait for nothing."""
    first = book.build()
    assert first.status == 0, first.output
    assert first.ran == ["evidence", "first", "rival", "rival", "second"]

    book.file("_build/html/chapters/first.html").unlink()
    unchanged = book.build()  # but for a page that was deleted
    assert unchanged.status == 0, unchanged.output
    assert unchanged.ran == []
    assert "notebooks/chapters/first.ipynb" in book.html("chapters/first")

    book.claim({**CLAIM, "reason": "They were counted twice."}, OPEN)
    new_ledger = book.build()
    assert new_ledger.status == 0, new_ledger.output
    assert new_ledger.ran == [], "no evidence is another because it is worded anew"
    for page in ("chapters/first", "chapters/verdicts"):
        assert "They were counted twice." in book.html(page)

    book.write("constraints.txt", "numpy==2.1\n")
    new_versions = book.build()
    assert new_versions.status == 0, new_versions.output
    assert new_versions.ran == ["evidence", "first", "rival", "rival", "second"]


def test_a_page_that_was_executed_stays_in_the_cache(tmp_path, monkeypatch):
    """A page ran twice when another finished at the same moment and trimmed the cache."""
    cache = execution.SharedCache(tmp_path)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("2 + 2")])
    monkeypatch.setattr(NbCacheRecord, "records_to_delete", lambda keep, db: [1])
    cache.cache_notebook_bundle(CacheBundleIn(notebook, "page.md"), check_validity=False)
    assert cache.match_cache_notebook(notebook).uri == "page.md"


# --- the ledger's gates -------------------------------------------------------------------------


@pytest.mark.slow
def test_a_verdict_without_evidence_stops_the_build(book):
    """A verdict was published that nothing stands behind."""
    book.claim({**CLAIM, "evidence": []}, OPEN)
    built = book.build()
    assert built.status != 0
    assert "claim 'two-and-two': verdict 'holds' needs evidence, it has none" in built.output


# Of each piece of evidence, what the build says of the claim that stands on it.
WRONG = {
    "five": "5 apples (expected 4, exactly)",
    "lonely": "it names no rival: give it @evidence",
    "gullible": "a rival passes as well: it would have given 4 apples (expected 4) for a bask",
}


@pytest.mark.slow
def test_evidence_that_does_not_hold_or_that_nothing_could_fail_fails_every_build(book):
    """A verdict was published against the evidence, or on evidence that a wrong program passes.

    Or it was the second time, from the cache.
    """
    claims = [{**CLAIM, "id": f"on-{piece}", "evidence": [f"tiny.{piece}"]} for piece in WRONG]
    claims.append({**CLAIM, "evidence": ["tiny.four", "tiny.five"]})
    cards = "\n\n".join(f"```{{claim}} {claim['id']}\n```" for claim in claims)
    book.write("chapters/first.md", f"# First\n\n{cards}\n")
    book.contents("chapters/first")
    book.claim(*claims, OPEN)
    for _ in range(2):
        built = book.build()
        assert built.status != 0
        for piece, complaint in WRONG.items():
            [said] = [line for line in built.output.splitlines() if f"claim on-{piece}:" in line]
            assert f"tiny.{piece}: " in said
            assert complaint in said
        assert "claim two-and-two: tiny.five: 5 apples" in built.output, "one of two pieces"
    assert built.ran == [], "evidence that was gathered is gathered again"


# --- the same book twice ------------------------------------------------------------------------


@pytest.mark.deep
def test_two_clean_builds_of_the_book_are_the_same_to_the_byte(tmp_path, checkout):
    """A page depends on when, where or in which order it was built, and no one could check it.

    Copies are of the same commit, which their pages name.
    """
    one = built_elsewhere(checkout(tmp_path / "a longer name"), seed="1", zone="UTC-14")
    # In CI the book itself is a clean build. Elsewhere it has grown in steps, which leave traces.
    if os.environ.get("CI") == "true":
        other = BOOK
    else:
        other = built_elsewhere(checkout(tmp_path / "other"), seed="2", zone="UTC+12")
    one, other = files_of(one), files_of(other)
    assert one.keys() == other.keys()
    assert "index.html" in one
    assert [name for name in one if one[name] != other[name]] == []


def built_elsewhere(folder, seed, zone):
    environment = {"CI": "true", "PYTHONPATH": str(folder / "code")}
    find = ["git", "rev-parse", "--absolute-git-dir"]
    of_book = subprocess.run(find, cwd=ROOT, check=True, capture_output=True, text=True)
    environment |= {"GIT_DIR": of_book.stdout.strip(), "GIT_WORK_TREE": str(folder)}
    done = subprocess.run(
        build_command(),
        cwd=folder,
        env={**os.environ, **environment, "PYTHONHASHSEED": seed, "TZ": zone},
        capture_output=True,
        encoding="utf-8",
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "_build/html"


TEXT = "  one\n\ntwo  \nthree"


@pytest.mark.parametrize("cut", range(1, len(TEXT)))
def test_a_stream_is_the_same_wherever_the_clock_cuts_it(cut):
    """A blank line, or the end of one, stood where a busy kernel had cut: two builds differed."""
    pieces = [TEXT[:cut], TEXT[cut:]]
    assert merged(pieces) == merged([TEXT])


def merged(pieces):
    """What a page makes of a cell that printed these pieces, around something that it displayed."""
    outputs = [nbformat.v4.new_output("stream", name="stdout", text=piece) for piece in pieces]
    shown = nbformat.v4.new_output("display_data", {"text/plain": "4"})
    stream = nbformat.v4.new_output("stream", name="stdout", text="last\n")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("…", outputs=[*outputs, shown, stream])]
    )
    execution.join_streams(notebook)
    return coalesce_streams(notebook.cells[0].outputs)


def files_of(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# --- what pages show, whoever builds them -------------------------------------------------------

LAB = cell("from attention_limits.chapters.quadratic_cost import lab\n\nlab.time_it()")
SHOWN = {
    "plain": [
        cell("print('one', flush=True)\nprint('two', flush=True)"),
        cell("print('mine' in globals())"),
        cell("import matplotlib\n\nmatplotlib.rcParams['axes.facecolor']"),
        cell("from attention_limits.notebook import glue\nglue(gap=3.2e-8, tokens=131072)"),
        "Off by {glue:text}`gap:.0e` on {glue:text}`tokens`, or {glue:text}`gap:.1e`.",
        "(here)=\n## A place\n\nSee {doc}`lab`, {ref}`here`, {doc}`the page <library>` of "
        "{py:func}`~attention_limits.attention.sliding_window.attend` and {cite:t}`euclid`.",
        LAB,
    ],
    "lab": [LAB],
    "formulas": [
        "This begins with $n^2$ tokens and says a few words more about what it does.",
        "| size |\n| --- |\n| $n_i$ |",
        "$$\na &= b \\\\\nc &= d\n$$ (two-lines)",
        "By {eq}`two-lines`,\n\n\\begin{align}\ne &= f \\\\\ng &= h\n\\end{align}",
        cell("from IPython.display import Math\n\nMath('m < n')"),
    ],
}


FORK = "https://github.com/Reader/attention"
COMMIT = "0123abc"
HOME = "https://reader.github.io/attention/"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Some pages, built by a reader with start-up files, colours and fonts of her own.

    And with a repository of her own, from which she publishes them.
    """
    own = tmp_path_factory.mktemp("own")
    startup = own / "profile_default/startup/mine.py"
    startup.parent.mkdir(parents=True)
    startup.write_text("mine = 1")
    (own / "matplotlibrc").write_text("axes.facecolor: tomato\nfont.family: No Such Font\n")
    book = Book(tmp_path_factory.mktemp("shown"), fonts=False, url=FORK)
    for name, blocks in SHOWN.items():
        book.page(name, *blocks)
    book.write("chapters/library.md", "# Library\n\n```{mechanism} sliding_window\n```\n")
    book.write("references.bib", (ROOT / "references.bib").read_text(encoding="utf-8") + REFERENCE)
    book.claim()  # and no evidence that would be gathered
    names = (*SHOWN, "library")
    lab = book.file("chapters/lab.md")
    described = "---\ndescription: Where a lab is described by its header.\n"
    lab.write_text(lab.read_text(encoding="utf-8").replace("---\n", described, 1), encoding="utf-8")
    # Written after the others, with no formula but that in the list of pages beside it.
    book.write("chapters/titled.md", "# About $p^q$\n\n```{math}\ni = j\n\nk = l\n```\n")
    names = (*names, "titled")
    book.contents(*(f"chapters/{name}" for name in names))
    book.write("environment.yml", (ROOT / "environment.yml").read_text(encoding="utf-8"))
    built = book.build(IPYTHONDIR=str(own), MPLCONFIGDIR=str(own), BOOK_REF=COMMIT)
    assert built.status == 0, built.output
    return book


@pytest.fixture(scope="module")
def shown(published):
    """These pages, parsed, and the addresses that the site's map names."""
    names = (*SHOWN, "library", "titled")
    pages = {name: published.html(f"chapters/{name}") for name in names}
    found = {name: BeautifulSoup(page, "html.parser") for name, page in pages.items()}
    sitemap = published.file("_build/html/sitemap.xml").read_text(encoding="utf-8")
    return {**found, "sitemap": re.findall("<url><loc>(.*?)</loc></url>", sitemap)}


def streams(page):
    return [box.get_text().strip() for box in page.select(".output.stream")]


@pytest.mark.slow
def test_what_a_cell_prints_in_pieces_is_one_output(shown):
    """Where a busy kernel cut its output in two, the page had two boxes, and only that time."""
    assert streams(shown["plain"])[0] == "one\ntwo"


@pytest.mark.slow
def test_a_readers_own_ipython_stays_out(shown):
    """A page showed what only its author's start-up files define."""
    assert streams(shown["plain"])[1:] == ["False"]


@pytest.mark.slow
def test_settings_and_fonts_of_the_reader_s_own_stay_out(shown):
    """Every figure complained of fonts that another, deleted environment had listed."""
    colour, *_ = shown["plain"].select(".output.text_plain")  # before the numbers
    assert colour.get_text().strip() == "'white'"
    assert shown["library"].select_one("figure.plot svg")
    assert "#ff6347" not in str(shown["library"])


@pytest.mark.slow
def test_a_number_in_prose_is_in_the_books_one_notation(shown):
    """The gap was 3e-08 on a page that writes 10⁻⁸ elsewhere."""
    text = shown["plain"].article.get_text()
    assert "Off by 3 · 10⁻⁸ on 131,072, or 3.2 · 10⁻⁸." in text


@pytest.mark.slow
def test_a_lab_is_still_on_the_page_and_the_same_whoever_runs_it(shown):
    """A reader met buttons that no kernel hears, or each kernel named its widgets anew."""
    [one], [*_, other] = (shown[name].select(".cell_output") for name in ("lab", "plain"))
    assert one.select_one('figure.plot [role="img"]')
    assert not one.select("input, select, button, [onclick], [tabindex]:not([role=img])")
    assert "widget" not in str(shown["lab"])
    links = [face.select_one("a.lab-notebook").attrs.pop("href") for face in (one, other)]
    assert links[0] == "../notebooks/chapters/lab.ipynb"
    colab = [face.select_one("a.lab-colab").attrs.pop("href") for face in (one, other)]
    assert colab[0] == buttons(shown["lab"])["Colab"]
    assert str(one) == str(other)


# --- where its buttons lead ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def branch_of(published, tmp_path_factory):
    """What the publishing of these pages puts beside them: the branch of their notebooks."""
    folder = tmp_path_factory.mktemp("published") / "notebooks"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(REF, COMMIT)
        for _ in range(2):  # into a new folder, and over what an earlier book left there
            made = branch.make(published.file("_build/html"), folder, published.folder)
            assert [str(path) for path in made] == [f"chapters/{name}.ipynb" for name in LABS]
            (folder / "old.ipynb").write_text("")
    return folder


LABS = sorted(SHOWN)  # the pages with cells


def buttons(page):
    """Each button that leads somewhere, by the words on it."""
    links = page.select(".article-header-buttons a")
    return {link.get_text().strip(): link["href"] for link in links}


@pytest.mark.slow
@pytest.mark.parametrize("name", LABS)
def test_every_button_leads_to_what_is_published(name, shown, published, branch_of):
    """A reader pressed Colab, and was told that there is no such file."""
    leads = buttons(shown[name])
    places = {
        "Colab": (
            "https://colab.research.google.com/github/Reader/attention/blob/notebooks/",
            branch_of,
        ),
        "Binder": (
            "https://mybinder.org/v2/gh/Reader/attention/notebooks?urlpath=lab/tree/",
            branch_of,
        ),
        ".ipynb": ("../", published.file("_build/html")),
        ".md": (f"{FORK}/blob/{COMMIT}/", published.folder),
    }
    assert leads.keys() == places.keys()
    for label, (above, folder) in places.items():
        address = unquote(leads[label])
        assert address.startswith(above)
        assert (folder / address.removeprefix(above)).is_file()
    [download] = shown[name].select(".article-header-buttons a[download]")
    assert download["download"] == f"{name}.ipynb"


@pytest.mark.slow
def test_what_a_reader_installs_is_what_was_published(published, branch_of):
    """The notebook of one version ran on the package of another."""
    package = f'"git+{FORK}@{COMMIT}"'
    assert package in (branch_of / "postBuild").read_text(encoding="utf-8")
    assert os.access(branch_of / "postBuild", os.X_OK)
    assert (branch_of / "environment.yml").is_file()
    for name in LABS:
        notebook = nbformat.read(branch_of / f"chapters/{name}.ipynb", as_version=4)
        assert f"%pip install -q {package}" in notebook.cells[0].source


@pytest.mark.slow
def test_a_notebook_says_what_its_page_says(published, branch_of):
    """Numbers had the names of variables, and no link was left."""
    notebook = nbformat.read(branch_of / "chapters/plain.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert "Off by `3 · 10⁻⁸` on `131,072`, or `3.2 · 10⁻⁸`." in text
    site = "https://reader.github.io/attention/"
    leads = re.findall(rf"\]\({site}([^#)]*)(?:#([^)]*))?\)", text)
    assert len(leads) == 4
    for page, place in leads:
        there = BeautifulSoup(published.file(f"_build/html/{page}").read_bytes(), "html.parser")
        assert not place or there.find(id=place)


@pytest.mark.deep
def test_every_link_of_the_books_notebooks_leads_somewhere(tmp_path):
    """A page was renamed, and notebooks led to where it had been."""
    with (BOOK.parent / ".doctrees/environment.pickle").open("rb") as file:
        kept = pickle.load(file)
    std, py = kept.domaindata["std"], kept.domaindata["py"]
    domains = {
        "std": SimpleNamespace(labels=std["labels"], anonlabels=std["anonlabels"]),
        "py": SimpleNamespace(objects=py["objects"]),
    }
    own = dict(found_docs=kept.found_docs, get_domain=domains.get)
    env = SimpleNamespace(**vars(kept) | own)
    config = SimpleNamespace(
        bibtex_bibfiles=["references.bib"],
        book_addresses=addresses.of(FORK, COMMIT),
        nb_execution_mode="cache",
    )
    app = SimpleNamespace(config=config, env=env, srcdir=ROOT, outdir=tmp_path / "html")
    (tmp_path / "jupyter_execute").symlink_to(BOOK.parent / "jupyter_execute")
    site, found = re.escape(config.book_addresses.site), set()
    for page in sorted(kept.found_docs):
        if is_notebook(source := ROOT / f"{page}.md"):
            text = (app.outdir / downloads._write(app, page, source)).read_text(encoding="utf-8")
            found |= set(re.findall(rf"\]\({site}([^#)]*)(?:#([^)]*))?\)", text))
    assert len(found) > 20
    pages = {path: (BOOK / path).read_text(encoding="utf-8") for path, _ in found}
    assert [link for link in found if link[1] and f'id="{link[1]}"' not in pages[link[0]]] == []


@pytest.mark.slow
def test_a_page_without_cells_has_no_button_that_runs_it(shown):
    assert buttons(shown["library"]) == {}


@pytest.mark.parametrize("config", [None, "title: A book", "repository:", "repository: {url: }"])
def test_a_book_that_is_not_published_has_no_addresses(config, tmp_path):
    """Its buttons led to the repository of Jupyter Book, which that takes by default."""
    if config:
        (tmp_path / "_config.yml").write_text(config)
    assert addresses.configured(tmp_path) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://gitlab.com/reader/attention",
        "https://github.com/reader",
        "https://github.com/reader/attention/tree/main",
        "http://github.com/reader/attention",
        "git@github.com:reader/attention.git",
        "reader/attention",
    ],
)
def test_a_repository_that_nothing_opens_is_refused(url):
    """A whole book was published whose buttons lead nowhere."""
    with pytest.raises(ValueError, match=r"repository\.url must be https://github\.com/OWNER/NAME"):
        addresses.of(url)


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://github.com/Reader/attention.git", "https://reader.github.io/attention/"),
        ("https://github.com/Reader/reader.github.io/", "https://reader.github.io/"),
    ],
)
def test_a_book_is_where_pages_publishes_it(url, site, monkeypatch):
    monkeypatch.setenv(REF, COMMIT)
    assert addresses.of(url).page("chapters/a b", "c") == f"{site}chapters/a%20b.html#c"


def test_who_builds_a_book_at_home_gets_what_its_version_released(monkeypatch):
    monkeypatch.delenv(REF, raising=False)
    found, version = addresses.of(FORK), f"v{metadata.version('attention-limits')}"
    assert found.package == f"git+{found.repository}@{version}"
    assert found.home == f"{HOME}{version.rpartition('.')[0]}/"


def test_a_branch_is_laid_or_it_is_said_why_not(tmp_path, capsys):
    """A traceback, for a folder that cannot be written or a book that nobody has built."""
    shutil.copy(ROOT / "_config.yml", tmp_path)
    book = tmp_path / "html"
    arguments = [str(book), str(tmp_path / "_config.yml/notebooks"), "--source", str(tmp_path)]
    assert branch.main(arguments) == 1
    assert "build the book first" in capsys.readouterr().err
    (book / "notebooks").mkdir(parents=True)
    (book / "notebooks/a.ipynb").write_text("{}")
    assert branch.main(arguments) == 1
    assert "Not a directory" in capsys.readouterr().err


# --- its formulas, addresses and descriptions -----------------------------------------------------


@pytest.mark.slow
def test_formulas_of_every_origin_are_set(shown):
    """One in a table, with a number, from amsmath, of several lines, or printed by a cell."""
    formulas = shown["formulas"].article.select(".math")
    others = shown["titled"].article.select("div.math")
    assert [formula["data-tex"] for formula in formulas] == [
        "n^2",
        "n_i",
        r"a &= b \\ c &= d",
        r"\begin{align} e &= f \\ g &= h \end{align}",
        r"\displaystyle m < n",
    ]
    assert [formula["data-tex"] for formula in others] == ["i = j k = l"]
    for formula in formulas + others:
        assert formula.select_one("mjx-math[aria-hidden]")
        assert formula.select_one("math.spoken")
    assert [len(f.select("mjx-mtr")) for f in formulas + others] == [0, 0, 2, 2, 0, 2]
    assert formulas[2].select_one(".eqno").get_text().startswith("(1)")
    assert shown["formulas"].select_one(f"a[href='#{formulas[2]['id']}']")


@pytest.mark.slow
def test_a_page_has_the_style_of_the_formulas_beside_it(shown):
    """In the list of pages, one that stands in a title was a row of empty boxes elsewhere."""
    for name in ("lab", "titled"):
        (style,) = (s.get_text() for s in shown[name].select("head style") if "mjx" in s.get_text())
        assert 'content: "p"' in style
        assert 'content: "m"' not in style
    assert shown["titled"].title.get_text().startswith("About ")


@pytest.mark.slow
def test_a_book_with_an_address_says_where_its_pages_are(shown):
    """A search engine showed two addresses of one page, or never found the second."""
    (link,) = shown["lab"].select("head link[rel=canonical]")
    assert link["href"] == f"{HOME}chapters/lab.html"
    names = sorted(["index", *(f"chapters/{name}" for name in shown if name != "sitemap")])
    assert shown["sitemap"] == [f"{HOME}{name}.html" for name in names]


@pytest.mark.slow
def test_a_published_book_leads_to_its_other_versions(published, shown):
    """A reader of what had been corrected since could not know."""
    (link,) = (a for a in shown["lab"].select("footer a") if a.get_text() == "Other versions")
    assert link["href"] == "../versions.html"
    assert LISTED_HERE in published.html("versions")
    assert Ledger.read(published.file(f"_build/html/{LEDGER}")).claims == {}


@pytest.mark.slow
def test_a_page_is_described_in_its_own_words(shown):
    """What stands beneath its name in a list of results was of another page, or TeX."""
    said = {name: shown[name].select_one("meta[name=description]") for name in SHOWN}
    assert said["lab"]["content"] == "Where a lab is described by its header."
    beginning = "This begins with n² tokens"
    assert said["formulas"]["content"].startswith(beginning)


@pytest.mark.slow
def test_a_page_that_somebody_links_to_shows_its_card(shown, published):
    """The link came without a picture, or with one that is not there, or is cut off."""
    for name, title in (("lab", "The lab page"), ("titled", "About p^q")):
        found = shown[name].select("head meta:is([property], [name])")
        said = {tag.get("property") or tag["name"]: tag["content"] for tag in found}
        assert said["og:title"] == title
        assert said["og:url"] == f"{HOME}chapters/{name}.html"
        assert said["og:description"] == said["description"]
        assert said["og:image"] == f"{HOME}_images/cards/chapters/{name}.png"
        assert said["twitter:card"] == "summary_large_image"
        size = [int(said[f"og:image:{side}"]) for side in ("width", "height")]
        with Image.open(published.file(f"_build/html/_images/cards/chapters/{name}.png")) as card:
            assert list(card.size) == size


@pytest.mark.slow
def test_the_list_of_pages_leads_to_where_they_are(published):
    """Whoever was given the list alone had addresses that lead nowhere."""
    text = published.file("_build/html/llms.txt").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert f"{FORK}/blob/{COMMIT}/chapters/lab.md" in links
    assert f"{HOME}notebooks/chapters/lab.ipynb" in links
    for link in links:
        if not link.startswith(f"{FORK}/blob/"):
            assert published.file(f"_build/html/{link.removeprefix(HOME)}").is_file()
