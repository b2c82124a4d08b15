"""Links to claims, exercises and figures, which each has a name by which to cite it.

Sphinx gives headings theirs. A figure with sliders has its name from the package; a still one is
called after the first words of its caption, so that it keeps its name when others come before it.
"""

import html
import itertools
import re
from collections import Counter

from docutils import nodes
from sphinx.application import Sphinx

WORDS = 5  # of a caption, in the name of a still figure
STILL = re.compile(
    r'<figure class="plot">(?P<inside>.*?<figcaption>)(?P<caption>.*?)(?=</figcap)', re.S
)
# The beginning of each, up to where its link stands: behind its statement, or its title.
LINKED = {
    "figure": r'<figure class="plot" id="([^"]+)">.*?</figcaption>',
    "figure with sliders": r'<figure class="explorable" id="([^"]+)".*?</p>',
    "claim": r'<div class="claim claim-[^"]*" id="([^"]+)">\s*<p>.*?</p>',
    "exercise": r'<div class="exercise admonition" id="([^"]+)">\s*<p class="adm[^>]*>.*?</p>',
}


def setup(app: Sphinx) -> None:
    """Write the links into each page."""
    app.connect("html-page-context", _link)


def _link(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    if doctree is not None:
        context["body"] = with_links(with_names(context["body"]))


def with_names(body: str) -> str:
    """A page whose still figures have names; of two with one caption, the second has a number."""
    taken = Counter(re.findall(r' id="([^"]+)"', body))

    def named(figure: re.Match) -> str:
        text = html.unescape(re.sub("<[^>]*>", "", figure["caption"]))
        name = "figure-" + "-".join(nodes.make_id(text).split("-")[:WORDS])
        numbered = (f"{name}-{number}" for number in itertools.count(2))
        name = next(one for one in itertools.chain([name], numbered) if one not in taken)
        taken[name] += 1
        return f'<figure class="plot" id="{name}">{figure["inside"]}{figure["caption"]}'

    return STILL.sub(named, body)


def with_links(body: str) -> str:
    """A page whose claims, exercises and figures have their links."""
    for what, beginning in LINKED.items():

        def linked(start: re.Match, what: str = what) -> str:
            text, end, _ = start[0].rpartition("</")
            link = f'<a class="headerlink" href="#{start[1]}" title="Link to this {what}">#</a>'
            return f"{text}{link}{end}{start[0][len(text) + 2 :]}"

        body = re.sub(beginning, linked, body, flags=re.S)
    return body
