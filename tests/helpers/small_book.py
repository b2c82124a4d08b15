"""Small books, built by the command and the settings of the real one, to see them pass or fail."""

import atexit
import functools
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml
from helpers.sources import HEADER

ROOT = Path(__file__).parents[2]

REFERENCE = """\
@article{euclid,
  author = {Euclid}, title = {Elements}, journal = {Alexandria}, year = {1900}
}
"""

# What the claims of a small book stand on, registered as if the library had it; and a way to die
# as a killed build does, which no handler gets to tidy up after. Bundling Vega takes as long as all
# the rest, and no small book has a figure that needs it.
EXTENSION = """\
import os
import signal
import sys
from types import ModuleType, SimpleNamespace

from vl_convert import svg_to_png

from attention_limits.evidence import Evidence, evidence


def counted(name, value, **rivals):
    def gather(found=value):
        record("evidence" if found == value else "rival")
        return Evidence(found, 4, 0, "apples", "counted by hand")

    gather.__name__ = name  # the store's name for it
    return evidence(rivals={words: {"found": found} for words, found in rivals.items()})(gather)


def record(line):
    with open(os.environ["RECORD"], "a") as file:
        print(line, file=file)


def die(*_):
    if os.environ.get("DIE") == "writing":
        os.kill(os.getpid(), signal.SIGKILL)


def setup(app):
    tiny = ModuleType("attention_limits.chapters.locality.evidence.tiny")
    tiny.four = counted("four", 4, **{"a basket with $1$ pear": 5, "an empty basket": 0})
    tiny.five = counted("five", 5, **{"an empty basket": 0})
    tiny.gullible = counted("gullible", 4.0, **{"a basket that was counted twice": 4})
    tiny.lonely = counted("lonely", 4)
    derivations = ModuleType("attention_limits.chapters.locality.derivations")
    derivations.addition = lambda: SimpleNamespace(prove=lambda: None)
    vega = ModuleType("vl_convert")
    vega.svg_to_png = svg_to_png
    vega.javascript_bundle = lambda code: code
    vega.get_vega_version = lambda: "6"
    for module in (tiny, derivations, vega):
        sys.modules[module.__name__] = module
    app.connect("html-page-context", die)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
"""

CLAIM = {
    "id": "two-and-two",
    "chapter": "locality",
    "origin": "book",
    "statement": "Two and two make four, or $2 + 2 = 4$.",
    "verdict": "holds",
    "reason": "They were counted.",
    "assumes": ["whole numbers", "$n < 5$"],
    "derivations": ["addition"],
    "evidence": ["tiny.four"],
    "citations": ["euclid"],
}
OPEN = {
    "id": "three-and-three",
    "chapter": "attention",
    "origin": "article",
    "statement": "Three and three make seven.",
    "verdict": "open",
    "derivations": [],
    "evidence": [],
    "citations": [],
}


def cell(code, fence="```"):
    return f"{fence}{{code-cell}} ipython3\n{code}\n{fence}\n"


def recorded(line, then=""):
    """A cell that leaves a trace each time it runs."""
    return cell(f'import os\nprint("{line}", file=open(os.environ["RECORD"], "a"))\n{then}')


@dataclass
class Built:
    """What came of one build: exit status, output, and which cells and evidence ran."""

    status: int
    output: str
    ran: list[str]

    def complaints(self, page):
        """The warnings and errors that name a page."""
        lines = re.findall(r"^.*(?:WARNING|ERROR):.*$", self.output, re.MULTILINE)
        return [line for line in lines if page in line]


class Book:
    """A few pages in a folder of their own, with the settings of the real book.

    And with its list of fonts, unless told otherwise: each book would take a second to make one.
    ``url`` is that of its repository; without it, nobody has published it.
    """

    def __init__(self, folder, *, fonts=True, url=""):
        self.folder = Path(folder)
        self.record = self.folder / "_build/record.txt"
        config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
        for image in (config["logo"], config["html"]["favicon"]):
            self.file(image).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / image, self.file(image))
        for known in (ROOT / "_build/.matplotlib").glob("fontlist-*.json") if fonts else ():
            self.write(f"_build/.matplotlib/{known.name}", known.read_text(encoding="utf-8"))
        config["repository"]["url"] = url
        config["sphinx"]["config"]["claims_file"] = "claims.yml"
        # Its evidence lives in the extension below, which another process would not have.
        config["sphinx"]["config"]["claims_jobs"] = 1
        config["sphinx"]["local_extensions"] = {"tiny": "."}
        self.write("_config.yml", yaml.safe_dump(config))
        self.write("tiny.py", EXTENSION)
        self.write("references.bib", REFERENCE)
        self.write("constraints.txt", "numpy==2.0\n")
        self.claim(CLAIM, OPEN)
        self.contents("chapters/first", "chapters/second", "chapters/verdicts")
        self.write(
            "index.md", "# A small book\n\nAs {cite:t}`euclid` says.\n\n```{bibliography}\n```\n"
        )
        self.page("first", recorded("first"), "```{claim} two-and-two\n```")
        self.page("second", recorded("second"))
        self.write("chapters/verdicts.md", "# Verdicts\n\n```{verdict-table}\n```\n")

    def file(self, name):
        return self.folder / name

    def write(self, name, text):
        self.file(name).parent.mkdir(parents=True, exist_ok=True)
        self.file(name).write_text(text, encoding="utf-8")

    def page(self, name, *blocks):
        self.write(f"chapters/{name}.md", "\n\n".join([HEADER, f"# The {name} page", *blocks, ""]))

    def claim(self, *entries):
        self.write("claims.yml", yaml.safe_dump(list(entries), sort_keys=False))

    def contents(self, *pages):
        chapters = [{"file": page} for page in pages]
        self.write(
            "_toc.yml", yaml.safe_dump({"format": "jb-book", "root": "index", "chapters": chapters})
        )

    def html(self, page):
        return self.file(f"_build/html/{page}.html").read_text(encoding="utf-8")

    def start(self, **environment):
        """Begin a build, in a process group of its own as a job of CI has."""
        self.record.parent.mkdir(exist_ok=True)
        self.record.write_text("")
        return subprocess.Popen(
            build_command(),
            cwd=self.folder,
            env={**os.environ, "CI": "true", "RECORD": str(self.record), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )

    def build(self, **environment):
        """Build it as the command does, by a server that has imported what the command imports."""
        self.record.parent.mkdir(exist_ok=True)
        self.record.write_text("")
        said = self.folder / "_build/said.txt"
        _, *arguments = build_command()
        order = {
            "folder": str(self.folder),
            "arguments": arguments,
            "environment": {"RECORD": str(self.record), **environment},
            "said": str(said),
        }
        print(json.dumps(order), file=server().stdin, flush=True)
        status = int(server().stdout.readline())
        return Built(status, plain(said.read_text(encoding="utf-8")), self.ran())

    def ran(self):
        return sorted(self.record.read_text().split())


@functools.cache
def server():
    """One for all small books of these tests; it ends when nobody can order anything any more."""
    started = subprocess.Popen(
        [sys.executable, "-P", Path(__file__).with_name("book_server.py")],
        env={**os.environ, "CI": "true"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    atexit.register(started.communicate)
    return started


def build_command():
    """The command with which ``make book`` builds, from this interpreter's own environment."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    command, *arguments = re.search(r"^\t\$\(BIN\)/(jupyter-book build .+)", makefile, re.M)[
        1
    ].split()
    return [str(Path(sys.executable).with_name(command)), *arguments]


def plain(output):
    return re.sub(r"\x1b\[[0-9;]*m", "", output)
