"""Versions side by side, what changed between them, and what a release consists of."""

import json
import subprocess
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup

from attention_limits_book import addresses, release, site, versions
from attention_limits_book.versions import Change, Ledger

FORK = "https://github.com/reader/attention"
PAGE = '<html><head></head><body class="a">{}</body></html>'


def claim(verdict, statement=r"Scores grow like $\sqrt{d}$ & *more*.", page="chapters/cost"):
    return {"statement": statement, "verdict": verdict, "page": page}


def build(folder, **claims):
    """A built book, as far as versions look at it."""
    (folder / "chapters").mkdir(parents=True)
    for name in ("index", "404", "versions", "chapters/cost"):
        (folder / f"{name}.html").write_text(PAGE.format(versions.LISTED_HERE))
    (folder / "sitemap.xml").write_text("<urlset/>")
    (folder / ".nojekyll").write_text("")
    (folder / versions.LEDGER).write_text(json.dumps({"version": "0.1.0", "claims": claims}))
    return folder


def archived(releases, tag, **claims):
    book = build(releases.parent / f"built-{tag}", **claims)
    (releases / tag).mkdir(parents=True)
    with tarfile.open(releases / tag / site.ARCHIVE, "w:gz") as archive:
        archive.add(book, arcname=".")


def parsed(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@pytest.fixture
def laid(tmp_path):
    releases = tmp_path / "releases"
    archived(releases, "v0.9", a=claim("open"), b=claim("holds", page=""))
    archived(releases, "v0.10.0", a=claim("open"), b=claim("false"))
    archived(releases, "v0.10.1", a=claim("holds"), b=claim("false"))
    book = build(tmp_path / "html", a=claim("qualified"), c=claim("holds"))
    found = site.lay(book, releases, tmp_path / "site")
    assert found == ["v0.10", "v0.9"]
    return tmp_path / "site"


def test_every_version_stays_and_its_mended_form_takes_its_place(laid):
    """Version 0.10 came before 0.9, as words are sorted, or without what mended it."""
    kept = Ledger.read(laid / "v0.10" / versions.LEDGER)
    assert kept.claims["a"]["verdict"] == "holds"
    headings = [heading.get_text() for heading in parsed(laid / "versions.html").select("h2")]
    assert headings == ["The newest state", "Version 0.10", "Version 0.9"]


def test_what_changed_is_listed_with_where_it_was_argued(laid):
    tables = parsed(laid / "versions.html").select("table")
    rows = [[cell.get_text() for cell in row.select("td")[1:]] for row in tables[0].select("tr")]
    assert rows[1:] == [["holds", "qualified"], ["no claim", "holds"], ["false", "no claim"]]
    found = [[link["href"] for link in table.select("td a")] for table in tables]
    assert found[0][:2] == ["v0.10/chapters/cost.html#claim-a", "chapters/cost.html#claim-a"]
    assert found[1] == [
        "v0.9/chapters/cost.html#claim-a",
        "v0.10/chapters/cost.html#claim-a",
        "v0.10/chapters/cost.html#claim-b",
    ]


def test_a_statement_is_set_as_on_its_page(laid):
    """A reader of the list saw TeX, or d for its root."""
    cell = parsed(laid / "versions.html").select_one("td")
    assert cell.select_one("mjx-container msqrt")
    assert cell.em.get_text() == "more"
    assert "$" not in cell.get_text()
    assert "MJX" in parsed(laid / "versions.html").head.style.get_text()


def test_an_old_page_says_that_there_is_a_newer_one(laid):
    """A reader who came by a search took what had been corrected since for what holds."""
    for name, way in (("index", "../"), ("chapters/cost", "../../")):
        body = parsed(laid / f"v0.9/{name}.html").body
        assert body["class"] == ["a"]
        assert body.p.a["href"] == f"{way}index.html"
        assert "version 0.9" in body.p.get_text()
        assert not parsed(laid / f"{name}.html").select(".old-version")
    assert "../versions.html" in (laid / "v0.9/versions.html").read_text()


def test_an_old_version_leaves_to_the_root_what_is_looked_for_there(laid):
    """Two maps of one site, the older without half of the pages."""
    for name in site.OF_THE_ROOT:
        assert (laid / name).is_file()
        assert not (laid / "v0.9" / name).exists()


def test_versions_with_the_same_verdicts_have_no_table():
    ledger = Ledger("v0.1", {"a": claim("holds")})
    said = site.listed([Ledger("", ledger.claims), ledger])
    assert "All 1 verdicts are those of version 0.1." in said
    assert "<table" not in said


def test_only_a_verdict_is_a_change():
    """A statement that was worded anew is the same claim."""
    old = Ledger("v0.1", {"a": claim("holds", "One."), "b": claim("open"), "c": claim("false")})
    new = Ledger("", {"a": claim("holds", "1."), "b": claim("false", "Two."), "d": claim("open")})
    assert versions.changes(old, new) == [
        Change("b", "Two.", "open", "false"),
        Change("d", claim("open")["statement"], "", "open"),
        Change("c", claim("false")["statement"], "false", ""),
    ]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda at: (at / "html/versions.html").unlink(), "set repository.url, and build the book"),
        (lambda at: (at / "releases/v0.9").rename(at / "releases/latest"), "got 'latest'"),
        (
            lambda at: (at / f"releases/v0.9/{site.ARCHIVE}").write_text("not found"),
            "must be the book of a release",
        ),
        (lambda at: (at / f"html/{versions.LEDGER}").write_text("[]"), "the verdicts of a build"),
        (lambda at: (at / "site").write_text(""), "File exists"),
    ],
)
def test_a_site_is_laid_or_it_is_said_why_not(spoil, said, tmp_path, capsys):
    archived(tmp_path / "releases", "v0.9", a=claim("open"))
    build(tmp_path / "html", a=claim("open"))
    spoil(tmp_path)
    assert site.main([str(tmp_path / name) for name in ("html", "releases", "site")]) == 1
    assert said in capsys.readouterr().err


def test_an_archive_cannot_write_outside_its_folder(tmp_path, capsys):
    """Whoever can publish a release could have replaced any page of the site."""
    build(tmp_path / "html")
    (tmp_path / "releases/v0.1").mkdir(parents=True)
    with tarfile.open(tmp_path / f"releases/v0.1/{site.ARCHIVE}", "w:gz") as archive:
        archive.add(tmp_path / "html/index.html", arcname="../index.html")
    assert site.main([str(tmp_path / name) for name in ("html", "releases", "site")]) == 1
    assert "outside the destination" in capsys.readouterr().err


def test_a_book_that_has_no_address_any_more_has_no_page_of_versions(tmp_path):
    """It stayed from the last build, and a link to it, too."""
    (tmp_path / "versions.html").write_text("")
    app = SimpleNamespace(outdir=tmp_path, config=SimpleNamespace(book_addresses=None))
    versions._leave_ledger(app, RuntimeError("which stopped the build"))
    assert not (tmp_path / "versions.html").exists()


# --- addresses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ref", "folder", "branch"),
    [
        ("v0.2.1", "v0.2/", "notebooks-v0.2"),
        ("v1.0", "v1.0/", "notebooks-v1.0"),
        ("0a1b2c", "", "notebooks"),
        ("v0.2-draft", "", "notebooks"),
    ],
)
def test_a_released_version_leads_to_its_own_pages_and_notebooks(ref, folder, branch):
    """Colab opened the newest notebook from a page of two years ago."""
    found = addresses.of(FORK, ref)
    assert found.page("a") == f"https://reader.github.io/attention/{folder}a.html"
    assert f"/{branch}/a.ipynb" in found.colab("a")
    assert f"/{branch}?" in found.binder("a")
    assert found.site == "https://reader.github.io/attention/"  # canonical: the newest state


# --- a release ----------------------------------------------------------------------------------

CHANGES = (
    "# Changelog\n\n## Unreleased\n\n- Later.\n\n## 0.2.0 (2026-12-24)\n\n- Windows.\n\n## 0.1\n"
)


@pytest.fixture
def root(tmp_path):
    """What a release is made of."""
    build(tmp_path / "_build/html", a=claim("holds", "$n^2$"), b=claim("open"))
    (tmp_path / "_build/html/book.pdf").write_text("")
    (tmp_path / "_build/dist").mkdir()
    (tmp_path / "_build/dist/attention_limits-0.2.0.tar.gz").write_text("")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.2.0"\n')
    (tmp_path / "CITATION.cff").write_text("version: 0.2.0\n")
    (tmp_path / "CHANGELOG.md").write_text(CHANGES)
    return tmp_path


def released(root, tag="v0.2.0"):
    return release.main([tag, str(root / "release"), "--root", str(root)])


def test_a_release_holds_the_book_its_verdicts_and_the_package(root):
    """What it holds is what the site unpacks."""
    assert released(root) == 0
    names = {path.name for path in (root / "release").iterdir()}
    package = "attention_limits-0.2.0.tar.gz"
    assert names == {package, "book.pdf", site.ARCHIVE, versions.LEDGER, release.NOTES}
    (root / "releases").mkdir()
    (root / "release").rename(root / "releases/v0.2.0")
    assert site.lay(root / "_build/html", root / "releases", root / "site") == ["v0.2"]
    assert (root / "site/v0.2/chapters/cost.html").is_file()


def test_notes_are_of_this_version_and_say_which_verdicts_changed(root):
    """The notes of 0.2 were those of what came after, or it was compared with 0.10 or itself."""
    assert released(root) == 0
    first = (root / "release" / release.NOTES).read_text(encoding="utf-8")
    assert first.startswith("- Windows.\n\n## Verdicts that changed\n\n2 claims")
    known = {"v0.1": "open", "v0.1.2": "false", "v0.2.0": "holds", "v0.10.0": "holds", "data": "?"}
    for name, verdict in known.items():
        (root / "_build/before" / name).mkdir(parents=True)
        before = {"claims": {"a": claim(verdict, "$n^2$"), "b": claim("open")}}
        (root / "_build/before" / name / versions.LEDGER).write_text(json.dumps(before))
    assert released(root) == 0
    second = (root / "release" / release.NOTES).read_text(encoding="utf-8")
    assert "Later" not in second
    assert second.endswith("| Claim | before | now |\n|---|---|---|\n| $n^2$ | false | holds |\n")


@pytest.mark.parametrize(
    ("tag", "spoil", "said"),
    [
        ("latest", None, "the tag must be as in v0.2 or v0.2.1, got 'latest'"),
        ("v0.3.0", None, "pyproject.toml must say version 0.3.0, as the tag does; it says 0.2.0"),
        ("v0.2.0", ("CITATION.cff", "version: 0.1.0"), "CITATION.cff must say version 0.2.0"),
        ("v0.2.0", ("CHANGELOG.md", "## 0.2.0\n\n## 0.1\n\n- A.\n"), "a section '## 0.2.0'"),
        ("v0.2.0", ("CHANGELOG.md", "## Unreleased\n\n- A.\n"), "a section '## 0.2.0'"),
        ("v0.2.0", ("_build/html/verdicts.json", None), "run make notebooks pdf dist first"),
        ("v0.2.0", ("_build/dist/attention_limits-0.2.0.tar.gz", None), "make notebooks pdf dist"),
    ],
)
def test_a_release_is_whole_or_it_is_said_why_not(tag, spoil, said, root, capsys):
    """A tag was pushed before the version was raised, and stayed."""
    if spoil:
        path = root / spoil[0]
        path.unlink() if spoil[1] is None else path.write_text(spoil[1])
    assert released(root, tag) == 1
    assert said in capsys.readouterr().err
    assert not Path(root / "release").exists()


def test_a_release_is_made_of_what_is_committed_where_its_tag_is(root, capsys):
    """A book of edited files, or of another commit, went out under the tag."""

    def git(*arguments):
        who = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)

    git("init")
    git("add", "pyproject.toml", "CITATION.cff", "CHANGELOG.md")
    git("commit", "-m", "A")
    assert released(root) == 0  # which leaves files that git does not know
    git("tag", "v0.2.0")
    assert released(root) == 0
    (root / "CHANGELOG.md").write_text(CHANGES + "\n")
    assert released(root) == 1
    assert "edited since: CHANGELOG.md" in capsys.readouterr().err
    git("commit", "-a", "-m", "B")
    assert released(root) == 1
    assert "v0.2.0 must be on the commit" in capsys.readouterr().err


def test_a_tag_is_checked_before_anything_is_built(root, capsys):
    assert release.main(["v0.2.0", "--root", str(root)]) == 0
    assert capsys.readouterr().out == "All files agree on v0.2.0\n"
    (root / "CHANGELOG.md").write_text("## \n\n## Unreleased\n\n- Windows.\n")
    assert release.main(["v0.2.0", "--root", str(root)]) == 1
    assert "a section '## 0.2.0'" in capsys.readouterr().err
    assert not (root / "release").exists()
