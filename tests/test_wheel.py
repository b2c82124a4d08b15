"""The library as it is installed: from a wheel, outside the repository."""

import json
import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

OLDEST_SETUPTOOLS = 77  # the first to understand pyproject.toml's `license = "BSD-3-Clause"`


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, checkout):
    """A wheel of the tracked files, and of nothing that happens to lie about."""
    version = metadata.version("setuptools")
    if int(version.partition(".")[0]) < OLDEST_SETUPTOOLS:
        complaint = f"setuptools {version} cannot build the wheel, {OLDEST_SETUPTOOLS} can"
        if os.environ.get("CI") == "true":
            pytest.fail(complaint)
        pytest.skip(complaint)
    folder = tmp_path_factory.mktemp("wheel")
    source = checkout(folder / "source")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder into which the wheel is installed, without the repository's own installation."""
    target = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--target", str(target), str(wheel))
    return target


def python(code, installed, folder):
    """Run code from an empty folder, with nothing on the path but what was installed."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_holds_every_file_of_both_packages_and_no_other(wheel, tracked):
    """The ledger or a style sheet was left at home, or the tests were packed."""
    code = Path("code")
    expected = {str(path.relative_to(code)) for path in tracked if code in path.parents}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == expected
    assert "attention_limits/claims.yml" in packed
    assert {name for name in packed if name.startswith("attention_limits_book/static/")}


def test_verify_succeeds_from_an_empty_folder(installed, tmp_path):
    """Who installs the library cannot check the book with it."""
    # A claim that is derived, one that is counted, and one that a recorded run carries.
    words = ["verify", "cost-time", "cost-backward", "pos-learned-range", "--json"]
    code = f"from attention_limits.cli import main; raise SystemExit(main({words}))"
    done = python(code, installed, tmp_path)
    assert done.returncode == 0, done.stderr
    reports = json.loads(done.stdout)
    assert {report["id"] for report in reports} == {*words[1:-1]}
    assert all(report["ok"] for report in reports)
    assert list(tmp_path.iterdir()) == []


def test_what_was_verified_is_what_was_installed(installed, tmp_path):
    """The test above found the repository on the path, and proves nothing."""
    done = python("import attention_limits as a; print(a.__file__)", installed, tmp_path)
    assert installed in Path(done.stdout.strip()).parents


def test_the_command_and_the_renderer_are_announced(installed):
    """There is no `attention-limits` to type, or MyST-NB does not know our figures."""
    [distribution] = metadata.distributions(path=[str(installed)])
    announced = {entry.group: entry.value for entry in distribution.entry_points}
    assert announced == {
        "console_scripts": "attention_limits.cli:main",
        "myst_nb.mime_renderers": "attention_limits_book.mime:FigureRenderer",
    }
