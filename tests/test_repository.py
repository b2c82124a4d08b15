"""What holds of the repository as a whole: that its files agree, and that its chapters run."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import psutil
import pytest
import yaml
from helpers.sources import HEADER, pages, tracked_files
from helpers.tables import assert_rows_for
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from attention_limits.notebook import STILL
from attention_limits_book.notebooks.syntax import MAY_RAISE

ROOT = Path(__file__).parents[1]
PAGES = {"index": ROOT / "index.md", **pages("chapters", "library")}
NOTEBOOKS = {
    name: path for name, path in PAGES.items() if "{code-cell}" in path.read_text(encoding="utf-8")
}


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


# --- pages and sources --------------------------------------------------------------------------


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_a_page_with_cells_says_that_it_is_a_notebook(page):
    """Its cells would be shown as code and never run, or opened in Jupyter as plain text."""
    text = text_of(NOTEBOOKS[page])
    assert re.sub(r"\A---\ndescription: .+\n", "---\n", text).startswith(HEADER)


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_a_page_s_words_are_true_of_its_notebook(page):
    """A notebook said to download it, and that its words would change with the machine."""
    words = r"download this page|(as|into) a notebook, and controls|sentence changes with"
    assert not re.search(words, text_of(NOTEBOOKS[page]))


def test_the_contents_are_the_pages_there_are():
    """A page was written that no reader finds, or one is announced that nobody wrote."""
    contents = yaml.safe_load(text_of("_toc.yml"))
    chapters = [entry for part in contents["parts"] for entry in part["chapters"]]
    entries = [*chapters, *(page for chapter in chapters for page in chapter.get("sections", ()))]
    listed = [contents["root"], *(entry["file"] for entry in entries)]
    assert_rows_for(PAGES, {"_toc.yml (which tests compare with the pages that git knows)": listed})


def test_what_is_cited_is_in_the_bibliography(tracked):
    """A reader meets a question mark where a source should be. (Claims: see test_claims.py.)"""
    keys = set(re.findall(r"^@\w+\{([^,\s]+),", text_of("references.bib"), flags=re.MULTILINE))
    role = re.compile(r"(?:\{cite(?::\w+)?\}|:cite(?::\w+)?:)`([^`]+)`")
    code = (ROOT / name for name in tracked if name.parts[0] == "code" and name.suffix == ".py")
    sources = [*PAGES.values(), *code]
    cited = {
        (path.name, key.strip())
        for path in sources
        for keys_of_role in role.findall(text_of(path))
        for key in keys_of_role.split(",")
    }
    assert len(cited) > 5, "the pattern finds no citations any more"
    assert {(name, key) for name, key in cited if key not in keys} == set()


def test_no_source_is_in_the_bibliography_twice():
    """Two entries share a key, and which of them the reader gets is chance."""
    keys = re.findall(r"^@\w+\{([^,\s]+),", text_of("references.bib"), flags=re.MULTILINE)
    assert sorted(keys) == sorted(set(keys))


def test_what_lies_about_is_none_of_ours(tmp_path):
    """A log or a note in the checkout, which git does not track, failed the tests of all files."""
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    for name in ("code/ours.py", "note.md", "chapters/draft.md", "code/run.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    subprocess.run(["git", "add", "code/ours.py"], cwd=tmp_path, check=True)
    assert tracked_files(tmp_path) == [Path("code/ours.py")]


# --- what has to say the same -------------------------------------------------------------------


@pytest.fixture(scope="module")
def project():
    return tomllib.loads(text_of("pyproject.toml"))["project"]


@pytest.fixture(scope="module")
def requirements(project):
    """Every requirement of the library, the book and the tests, by canonical name."""
    extras = project["optional-dependencies"].values()
    lines = project["dependencies"] + [line for extra in extras for line in extra]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


@pytest.fixture(scope="module")
def proven():
    """The version that constraints.txt holds each package to."""
    lines = re.sub(r"#.*", "", text_of("constraints.txt")).split()
    return {canonicalize_name(name): version for name, version in (x.split("==") for x in lines)}


def test_everything_states_the_same_version(project):
    """A reader would cite a version that was never published."""
    assert yaml.safe_load(text_of("CITATION.cff"))["version"] == project["version"]


def test_the_proven_set_lies_in_the_promised_ranges(requirements, proven):
    """CI proves versions that pip would refuse to install, or an entirely different set."""
    outside = {
        name: proven[name]
        for name, requirement in requirements.items()
        if name in proven and not requirement.specifier.contains(proven[name], prereleases=True)
    }
    assert outside == {}


def test_whatever_is_asked_for_is_held_to_a_proven_version(requirements, proven):
    """A new release upstream could break the build of a clean clone overnight."""
    # pip and setuptools build the environment and are not held to what it holds.
    assert set(requirements) - set(proven) - {"setuptools"} == set()


def test_conda_users_get_the_same_ranges(project, requirements):
    """environment.yml promises what pyproject.toml does not, or the other way round.

    Binder installs the package without its dependencies: one that was left out was missing there.
    """
    conda_names = {"matplotlib-base": "matplotlib", "pytorch-cpu": "torch"}
    lines = yaml.safe_load(text_of("environment.yml"))["dependencies"]
    conda = [Requirement(line) for line in lines if ">=" in line]
    names = {line.name: canonicalize_name(conda_names.get(line.name, line.name)) for line in conda}
    ranges = {names[line.name]: str(line.specifier) for line in conda}
    assert ranges == {name: str(requirements[name].specifier) for name in ranges}
    needed = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    assert needed <= ranges.keys()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "Makefile", ".ci/run"])
def test_make_has_every_target_that_a_reader_is_told_to_make(name):
    """Someone types what the README says and is told that there is no such rule."""
    targets = re.findall(r"^(\w[\w-]*):", text_of("Makefile"), flags=re.MULTILINE)
    told = re.findall(r"(?:^|`|type: )make ([a-z-]+)", text_of(name), flags=re.MULTILINE)
    assert set(told) <= set(targets)
    assert {"book", "test"} <= set(told) or name != "README.md"


def test_no_file_names_a_folder_of_somebodys_machine(tracked):
    """A path that exists on one machine only was committed."""
    machine = re.compile(rb"/(?:home|root|tmp|Users|private|work)" + rb"/\w[^\s\"']*")
    found = {}
    for path in tracked:
        content = (ROOT / path).read_bytes()
        if b"\0" not in content and (paths := machine.findall(content)):
            found[str(path)] = paths
    assert found == {}


# --- the chapters as notebooks ------------------------------------------------------------------


MEMORY = 1200e6  # what a notebook may take: Binder promises a gigabyte, and allows two


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Every page with cells, run as a reader does who downloads it, in a folder of its own.

    For each: how it ended, its cells, its seconds, and the bytes that all its processes took at
    most. Two run at once, so that the seconds are those of one core.
    """
    paths = {}
    for name in NOTEBOOKS:
        folder = tmp_path_factory.mktemp(name.replace("/", "-"), numbered=False)
        paths[name] = folder / "page.ipynb"
        shutil.copy(ROOT / f"_build/html/notebooks/{name}.ipynb", paths[name])
    outside = {k: v for k, v in os.environ.items() if k != STILL} | {"OMP_NUM_THREADS": "1"}

    def execute(path):
        command = [Path(sys.executable).with_name("jupyter-execute"), "--inplace", path.name]
        said = path.with_suffix(".txt")
        began, most = time.monotonic(), 0
        with said.open("w") as file:
            process = psutil.Popen(
                [*command, "--timeout=1200"], cwd=path.parent, env=outside, stdout=file, stderr=file
            )
            while process.poll() is None:
                most = max(most, memory_of(process))
                time.sleep(0.2)
        return process.returncode, said.read_text(), time.monotonic() - began, most

    # Notebooks are read outside of the threads: nbformat silences a warning meanwhile, which two
    # threads cannot do at once.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = list(pool.map(execute, paths.values()))
    return {
        name: (nbformat.read(path, as_version=4), *ran)
        for ran, (name, path) in zip(done, paths.items(), strict=True)
    }


def memory_of(process):
    """Of a process and all that it started: what they share is counted once."""
    total = 0
    with contextlib.suppress(psutil.Error):  # one has just ended
        for one in [process, *process.children(recursive=True)]:
            full = one.memory_full_info()
            total += getattr(full, "pss", full.rss)
    return total


@pytest.mark.deep
@pytest.mark.parametrize("page", NOTEBOOKS)
def test_a_page_runs_outside_the_book_without_a_complaint(page, executed, record_property):
    """A reader runs the chapter in Jupyter and meets an exception, or a warning new to us.

    Or Binder ends it for its memory, or a front end says that it cannot show what came out.
    """
    notebook, status, said, seconds, most = executed[page]
    record_property(f"{page} as a notebook", f"{seconds:.0f} s, {most / 1e6:.0f} MB")
    assert status == 0, said
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        unanswered = MAY_RAISE in cell.metadata.get("tags", ())  # an exercise, as its stub stands
        kinds = {output.output_type for output in cell.outputs}
        assert ("error" in kinds) <= unanswered
        assert [o.text for o in cell.outputs if o.get("name") == "stderr"] == []
        bundles = [o.data.keys() for o in cell.outputs if "data" in o]
        assert [kinds for kinds in bundles if "text/plain" not in kinds] == []
    assert most < MEMORY


def test_a_page_takes_as_long_as_the_map_of_its_chapter_says():
    """The map said 25 minutes, the page 30, and the front page 20."""
    folder = ROOT / "chapters/quadratic-cost"
    rows = re.findall(
        r"^\| .*?<([\w-]+)>` \|.*\| (\d+) \|$", (folder / "index.md").read_text(), re.M
    )
    said = {
        page.stem: minutes[1]
        for page in folder.glob("*.md")
        if (minutes := re.search(r"The page takes about (\d+) minutes", page.read_text()))
    }
    assert dict(rows) == said
    ends = f"{min(said.values())} to {max(said.values())} minutes each"
    assert ends in (ROOT / "index.md").read_text()
