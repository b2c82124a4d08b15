"""What a page loads: our own files only, so that the book works offline and from a USB stick."""

import hashlib
import re
from pathlib import Path

from sphinx.application import Sphinx

import attention_limits
from attention_limits import drawing

STATIC = Path(__file__).parent / "static"
OF_FIGURES = Path(attention_limits.__file__).parent / "static"  # what notebooks load as well


def setup(app: Sphinx) -> None:
    """Register the style sheet, the scripts and Vega, and keep everything else out."""
    # Sphinx copies assets only with pages that it writes; a new style sheet writes them all again.
    app.add_config_value("assets_fingerprint", "", "html", [str])
    app.connect("config-inited", _note_assets)
    app.connect("builder-inited", _add_folders)
    app.add_css_file("book.css")
    app.add_css_file("explorable.css")
    app.add_css_file("print.css", priority=900)  # has the last word
    app.add_js_file("explorable.js", loading_method="defer")
    app.add_js_file("explorables.js", loading_method="defer")
    app.add_js_file("beliefs.js", loading_method="defer")
    app.add_js_file("terms.js", loading_method="defer")
    app.add_js_file("found.js", loading_method="defer")
    app.add_js_file("print.js", loading_method="defer")
    app.add_js_file("scrolling.js", loading_method="defer")
    app.connect("html-page-context", _without_thebe, priority=900)
    app.connect("html-page-context", _with_plain_citations)
    app.connect("html-page-context", _with_named_buttons, priority=900)
    app.connect("html-page-context", _with_lists_in_items)
    app.connect("build-finished", _write_vega)


def fingerprint(*folders: Path) -> str:
    """A hash of every file in some folders."""
    files = sorted(path for folder in folders for path in folder.iterdir())
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _note_assets(app: Sphinx, config) -> None:
    config.assets_fingerprint = fingerprint(STATIC, OF_FIGURES)
    config.html_search_scorer = str(STATIC / "scorer.js")  # Sphinx puts it into its own script


def _add_folders(app: Sphinx) -> None:
    app.config.html_static_path += [str(STATIC), str(OF_FIGURES)]


def _without_thebe(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """The theme declares Thebe on every page, off or not, and names a content network."""

    def is_thebe(script) -> bool:
        body = getattr(script, "attributes", {}).get("body") or ""
        return "THEBE" in body or "thebe" in str(getattr(script, "filename", ""))

    context["script_files"] = [s for s in context.get("script_files", []) if not is_thebe(s)]


def _with_plain_citations(
    app: Sphinx, pagename: str, templatename: str, context: dict, doctree
) -> None:
    """Docutils calls a bibliography a list of things that are no list items; it is plain text."""
    if "citation-list" in context.get("body", ""):
        for role in (' role="list"', ' role="doc-biblioentry"'):
            context["body"] = context["body"].replace(role, "")


def _with_named_buttons(
    app: Sphinx, pagename: str, templatename: str, context: dict, doctree
) -> None:
    """In the list of pages, an arrow unfolds a chapter: whoever does not see it needs a name."""
    if not (make := context.get("generate_toctree_html")):
        return

    def named(*args: object, **options: object) -> str:
        name = '<summary aria-label="Pages of this chapter">'
        return str(make(*args, **options) or "").replace("<summary>", name)

    context["generate_toctree_html"] = named


def _with_lists_in_items(
    app: Sphinx, pagename: str, templatename: str, context: dict, doctree
) -> None:
    """Sphinx lists a package's modules beside it, where a list may have nothing but items."""
    if pagename == "_modules/index":
        body = context["body"].replace("</li>\n<ul>", "\n<ul>")
        context["body"] = re.sub(r"</ul>(?=<li>|</ul>)", "</ul></li>", body)


def _write_vega(app: Sphinx, exception: Exception | None) -> None:
    """Vega, in one file that explorables.js loads when a figure comes near."""
    if exception is not None or app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static" / "vega.js"
    made_of = f"/* {app.config.book_fingerprint} */\n"  # bundling takes seconds
    if target.exists() and target.read_text(encoding="utf-8").startswith(made_of):
        return
    target.write_text(made_of + drawing.vega_script(), encoding="utf-8")
