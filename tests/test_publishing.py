"""What publishes the book: workflows, what Binder installs, and the wheel that others install."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from attention_limits_book import addresses, branch, release, site, versions

ROOT = Path(__file__).parents[1]
WORKFLOWS = {path.stem: path for path in sorted((ROOT / ".github/workflows").glob("*.yml"))}
BIN = Path(sys.executable).parent


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs(name):
    return read(WORKFLOWS[name])["jobs"]


def commands(name):
    """All that a workflow types."""
    steps = (step for job in jobs(name).values() for step in job["steps"])
    return "\n".join(step.get("run", "") for step in steps)


# --- the workflows ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_to_a_commit_that_says_which(name):
    """Whoever can move a tag of an action runs code with our permissions."""
    text = WORKFLOWS[name].read_text(encoding="utf-8")
    used = re.findall(r"uses: *(.*)", text)
    assert used
    for action in used:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_an_action_is_at_one_version_everywhere():
    """One of them was renewed, and the other workflow still ran the old one."""
    texts = (path.read_text(encoding="utf-8") for path in WORKFLOWS.values())
    used = {action for text in texts for action in re.findall(r"uses: *(\S+)", text)}
    assert len(used) == len({action.partition("@")[0] for action in used})


# What a job may do beyond reading the repository, and the one job that may.
WRITES = {
    ("publish", "pages"): {"id-token": "write", "pages": "write"},
    ("publish", "notebooks"): {"contents": "write"},
    ("release", "release"): {"actions": "write", "contents": "write"},
}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_job_may_read_and_no_more(name):
    """A pull request could have pushed; and what may push ran the code of a dependency."""
    assert read(WORKFLOWS[name])["permissions"] == {}
    for job, content in jobs(name).items():
        assert content["permissions"] == WRITES.get((name, job), {"contents": "read"})
        if (name, job) in WRITES:
            assert not re.search(r"\b(make|pip|python)\b", str(content["steps"]))


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_makes_what_there_is_to_make(name):
    """Nothing tells that a target has another name now, until the night."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w[\w-]*):", text, flags=re.MULTILINE))
    told = set(re.findall(r"^make ([a-z-]+)", commands(name), flags=re.MULTILINE))
    assert told
    assert told <= targets


def test_the_oldest_and_the_newest_that_are_promised_are_tested():
    """A range in pyproject.toml that nobody has tried."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = map(Requirement, project["dependencies"])
    [torch] = [str(r.specifier).removeprefix(">=") for r in requirements if r.name == "torch"]
    proven = re.search(r"^torch==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]
    versions = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    matrix = jobs("test")["test"]["strategy"]["matrix"]
    pairs = [(row["python"], row["torch"]) for row in matrix["include"] if "torch" in row]
    assert pairs == [(versions[0], f"{torch}.0"), (versions[-1], proven)]
    assert project["requires-python"] == f">={versions[0]}"
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "macos"}


def test_without_jupyter_book_there_is_all_that_the_book_takes():
    """`make plain` failed for a package that only Jupyter Book had brought."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    book = project["optional-dependencies"]["book"]
    taken = {canonicalize_name(Requirement(line).name) for line in book}
    lines = (ROOT / "tests/plain.txt").read_text(encoding="utf-8").splitlines()
    plain = {canonicalize_name(Requirement(line).name) for line in lines if line[0] != "#"}
    assert taken - plain == {"jupyter-book"}
    assert "sphinx>=8.2" in lines


@pytest.mark.parametrize(
    ("workflow", "pushes", "branch", "ref", "made"),
    [
        ("publish", "notebooks", addresses.BRANCH, "${{ github.sha }}", "make notebooks pdf site"),
        (
            "release",
            "release",
            f"{addresses.BRANCH}:{addresses.BRANCH}-$version",
            "${{ github.ref_name }}",
            'make release TAG="$GITHUB_REF_NAME"',
        ),
    ],
)
def test_what_is_published_is_what_was_made(workflow, pushes, branch, ref, made):
    """The branch that Colab opens was pushed under another name, or without the notebooks."""
    build, push = jobs(workflow)["build"]["steps"], jobs(workflow)[pushes]["steps"]
    left = [step["with"] for step in build if "/upload-artifact@" in step.get("uses", "")]
    [left] = [artifact for artifact in left if artifact["name"] == "notebooks"]
    [taken] = [step for step in push if "/download-artifact@" in step.get("uses", "")]
    assert left["path"] == "_build/notebooks"
    assert taken.get("with", {}).get("name", "notebooks") == "notebooks"  # or all there are
    [step] = [step for step in push if "git push" in step.get("run", "")]
    assert step["working-directory"] == "notebooks"
    words = shlex.split(step["run"], comments=True)
    assert words[-1] == branch
    assert f"--initial-branch={addresses.BRANCH}" in words
    [step] = [step for step in build if step.get("run") == made]
    assert step["env"][addresses.REF] == ref


def test_a_release_leads_to_the_workflow_that_publishes():
    """It was started for a branch that a fork has named otherwise, and nothing was published."""
    [step] = [s for s in jobs("release")["release"]["steps"] if "gh workflow" in s.get("run", "")]
    assert shlex.split(step["run"]) == ["gh", "workflow", "run", "publish.yml", "--ref", "$BRANCH"]
    assert WORKFLOWS["publish"].is_file()
    assert step["env"]["BRANCH"] == "${{ github.event.repository.default_branch }}"


def test_notebooks_are_of_the_book_that_is_published():
    """Started for another branch, Pages refused the book, and Colab opened its notebooks."""
    assert jobs("publish")["notebooks"]["needs"] == ["build", "pages"]


# GitHub's own command, as far as our workflows use it: it knows some releases, and notes what it is
# told to do. $MISSING is what it cannot download.
GH = """\
#!/usr/bin/env bash
echo "$*" >> "$TOLD"
case "$2 $3" in
    "list "*) printf "v0.2.0\\nby-hand\\n" ;;
    "view v0.2.0") echo "%s %s" ;;
    "view by-hand") ;;
    "view "* | "download $MISSING") exit 1 ;;
esac
"""


def told(folder, step, **environment):
    """What a step tells GitHub to do, and its exit status."""
    folder.joinpath("gh").write_text(GH % (site.ARCHIVE, versions.LEDGER))
    folder.joinpath("gh").chmod(0o755)
    found = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "TOLD": str(folder / "told")}
    strict = ["-o", "pipefail"] if step.get("shell") == "bash" else []
    done = subprocess.run(
        ["bash", "-e", *strict, "-c", step["run"]], cwd=folder, env=found | environment, check=False
    )
    lines = (folder / "told").read_text().splitlines()
    return [line for line in lines if not re.match("release (list|view)", line)], done.returncode


@pytest.mark.parametrize(
    ("workflow", "pattern", "where"),
    [("publish", site.ARCHIVE, "releases"), ("release", versions.LEDGER, "before")],
)
def test_releases_are_fetched_under_their_names(workflow, pattern, where, tmp_path):
    """All versions were missing; or none was published any more, for a release made by hand."""
    steps = jobs(workflow)["build"]["steps"]
    [step] = [step for step in steps if "gh release" in step.get("run", "")]
    fetched = f"release download v0.2.0 --pattern {pattern} --dir _build/{where}/v0.2.0"
    assert told(tmp_path, step, MISSING="nothing") == ([fetched], 0)
    assert told(tmp_path, step, MISSING="v0.2.0")[1] != 0


@pytest.mark.parametrize("tag", ["v0.3.0", "v0.2.0"], ids=["new", "there already"])
def test_a_release_gets_all_that_it_consists_of(tag, tmp_path):
    """One made by hand, or by a run that failed after it, stopped every run that was to fill it."""
    parts = ["attention_limits-0.tar.gz", "book.pdf", site.ARCHIVE, versions.LEDGER]
    for name in [*parts, release.NOTES]:
        (tmp_path / name).write_text("")
    steps = jobs("release")["release"]["steps"]
    [step] = [step for step in steps if "gh release create" in step.get("run", "")]
    said, status = told(tmp_path, step, GITHUB_REF_NAME=tag)
    files, notes = " ".join(parts), f"--notes-file {release.NOTES}"
    expected = {
        "v0.3.0": [f"release create v0.3.0 --verify-tag --title v0.3.0 {notes} {files}"],
        "v0.2.0": [f"release upload v0.2.0 --clobber {files}", f"release edit v0.2.0 {notes}"],
    }
    assert (said, status) == (expected[tag], 0)


def made(target):
    """What make would run, without running it."""
    command = ["make", "--dry-run", "--always-make", target, "TAG=v0.2.0"]
    outside = os.environ | {"MAKEFLAGS": ""}
    return subprocess.run(
        command, cwd=ROOT, env=outside, capture_output=True, text=True, check=True
    ).stdout


def test_the_night_has_all_that_it_tests():
    """`make deep` asked for zizmor and for a wheel, on a machine where nothing had brought them."""
    first, _, _ = made("deep").partition("pytest")
    assert "--editable '.[publish]'" in first
    assert "build --outdir _build/dist" in first


def test_a_wrong_tag_is_refused_before_the_book_is_built():
    """A quarter of an hour went by before one was told that the changelog lacks the version."""
    first, _, _ = made("release").partition("jupyter-book build")
    assert 'attention_limits_book.release "v0.2.0"\n' in first


def run(*command, **options):
    """What a tool of the extra ``publish`` says, which ``make deep`` installs."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.deep
def test_zizmor_finds_nothing_in_the_workflows():
    """A token was left on disk, or a title of a pull request ran as code."""
    quietly = ("--offline", "--no-progress", "--persona=pedantic", "--format=json")
    assert json.loads(run(BIN / "zizmor", *quietly, ROOT / ".github")) == []


@pytest.mark.deep
@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", [*WORKFLOWS.values()]),
        ("vendor.dependabot", [ROOT / ".github/dependabot.yml"]),
    ],
)
def test_workflows_are_of_the_schema(schema, files):
    """A word that GitHub does not know stops a workflow before it begins, and nobody is told."""
    run(BIN / "check-jsonschema", "--builtin-schema", schema, *files)


# --- the command --------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_named_before_the_book_is_built(tmp_path):
    """A traceback out of an extension, for a full disk or a folder of somebody else's."""
    (tmp_path / "_build").write_text("")
    command = ["make", f"--file={ROOT / 'Makefile'}", "--old-file=.venv/installed", "book"]
    outside = os.environ | {"MAKEFLAGS": ""}  # or it takes options of the make that runs the tests
    done = subprocess.run(
        command, cwd=tmp_path, env=outside, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    folder = f"{tmp_path}/_build/html"
    assert f"error: the book is written into {folder}: let that be" in done.stdout + done.stderr
    assert "jupyter-book" not in done.stdout + done.stderr


# --- Binder -------------------------------------------------------------------------------------


@pytest.mark.deep
def test_what_binder_installs_can_be_parsed():
    """Binder's builds failed at a version that conda cannot read, half an hour later."""
    from rattler import MatchSpec

    lines = read(ROOT / "environment.yml")["dependencies"]
    assert [spec for spec in lines if MatchSpec(spec, strict=True).name is None] == []
    with pytest.raises(Exception, match="unable to parse version"):
        MatchSpec("numpy=>2", strict=True)


@pytest.mark.deep
@pytest.mark.parametrize("which", ["the repository", "the branch of notebooks"])
def test_binder_finds_its_environment(which, tmp_path):
    """Binder started without the package, or without PyTorch."""
    book = tmp_path / "html"
    (book / "notebooks").mkdir(parents=True)
    (book / "notebooks/a.ipynb").write_text("{}")
    for name in ("environment.yml", "postBuild"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"))
    (tmp_path / "_config.yml").write_text("repository: {url: https://github.com/a/b}")
    folder = tmp_path / "branch"
    branch.make(book, folder, tmp_path)
    where = tmp_path if which == "the repository" else folder
    said = run(BIN / "jupyter-repo2docker", "--no-build", "--debug", ".", cwd=where)
    assert '--file "environment.yml"' in said
    assert "RUN ./postBuild" in said


# --- wheel and sdist ----------------------------------------------------------------------------


@pytest.mark.deep
def test_the_wheel_that_is_uploaded_verifies_from_an_empty_folder(tmp_path):
    """Who installs the library from outside gets one that lacks a dependency, or a file."""
    dist = ROOT / "_build/dist"
    [wheel], [sdist] = dist.glob("*.whl"), dist.glob("*.tar.gz")
    assert sdist.name.startswith("attention_limits-")
    run(sys.executable, "-m", "venv", tmp_path / "clean")
    python = tmp_path / "clean/bin/python"
    constraints = ["--constraint", ROOT / "constraints.txt"]
    pip_args = shlex.split(os.environ.get("PIP_ARGS", ""))
    # On a path that leads to the checkout, pip finds the package and installs nothing.
    outside = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    install = ["install", "--quiet", wheel, *constraints, *pip_args]
    run(python, "-m", "pip", *install, env=outside)
    empty = tmp_path / "empty"
    empty.mkdir()
    command = python.with_name("attention-limits")
    said = run(command, "verify", "cost-time", "--json", cwd=empty, env=outside)
    [report] = json.loads(said)
    assert report["id"] == "cost-time"
    assert report["ok"]
    assert list(empty.iterdir()) == []
