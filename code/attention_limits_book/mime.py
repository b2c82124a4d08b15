"""Explorables as accessible figures: MyST-NB calls this for their mime type."""

import functools
import html
import json
import re
import zlib

from docutils import nodes

from attention_limits.notebook import MIME

POSTER_WIDTH = 680  # what a reader without JavaScript sees, and the printer


class FigureRenderer:
    """MyST-NB's hook for our mime type, in the entry points of this distribution."""

    mime_priority_overrides = (("html", MIME, 1),)

    @staticmethod
    def handle_mime(renderer, data, inline: bool) -> list[nodes.Node] | None:
        """The figure as HTML, or None to leave the data to other renderers."""
        if inline or data.mime_type != MIME:
            return None
        payload = json.loads(data.content) if isinstance(data.content, str) else data.content
        return [nodes.raw("", figure(payload), format="html")]


def figure(payload: dict) -> str:
    """An explorable's HTML: poster, controls that JavaScript reveals, words and numbers."""
    name = payload["name"]
    vega, poster = _compiled(json.dumps(payload["spec"], sort_keys=True))
    data = {
        "spec": json.loads(vega),
        "sliders": payload["sliders"],
        "presets": dict(payload["presets"]),
    }
    embedded = json.dumps(data, sort_keys=True).replace("</", "<\\/")
    return f"""<figure class="explorable" id="{name}" aria-labelledby="{name}-title">
<p class="explorable-title" id="{name}-title">{html.escape(payload["title"])}</p>
<div class="explorable-view" role="img" aria-label="{html.escape(payload["alt"])}">{poster}</div>
<div class="explorable-panel" hidden>
{_presets(payload)}
{"".join(_slider(name, slider) for slider in payload["sliders"])}
<button type="button" class="explorable-reset">Reset</button>
</div>
{_readouts(payload)}
<figcaption>{html.escape(payload["caption"])}</figcaption>
{_table(payload)}
<script type="application/json">{embedded}</script>
</figure>
"""


@functools.lru_cache(maxsize=64)
def _compiled(spec: str) -> tuple[str, str]:
    """A Vega-Lite specification as Vega, for the browser, and as SVG, for everybody else."""
    import vl_convert

    vega = json.dumps(vl_convert.vegalite_to_vega(spec))
    fixed = json.dumps({**json.loads(spec), "width": POSTER_WIDTH})
    svg = vl_convert.vegalite_to_svg(fixed)
    # Some posters clip; their ids must not meet those of another poster on the page.
    prefix = f"poster-{zlib.crc32(svg.encode()):08x}"
    svg = re.sub(r'(id="|url\(#)', rf"\g<1>{prefix}-", svg)
    return vega, svg.replace("<svg ", '<svg aria-hidden="true" ', 1)


def _presets(payload: dict) -> str:
    if not payload["presets"]:
        return ""
    buttons = "".join(
        f'<button type="button" data-preset="{html.escape(label)}">{html.escape(label)}</button>'
        for label, _ in payload["presets"]
    )
    return f'<div class="explorable-presets" role="group" aria-label="Presets">{buttons}</div>'


def _slider(figure_name: str, slider: dict) -> str:
    control = f"{figure_name}-{slider['name']}"
    label = slider["labels"][slider["start"]]
    text = html.escape(f"{label} {_unit(label, slider)}".strip())
    # A symbol that is a word of its label already needs no second mention.
    symbol = "" if slider["name"] in slider["label"].split() else f" {_symbol(slider['name'])}"
    return (
        f'<div class="explorable-slider"><label for="{control}">{html.escape(slider["label"])}'
        f"{symbol}</label>"
        f'<input type="range" id="{control}" data-signal="{slider["name"]}" min="0" '
        f'max="{len(slider["values"]) - 1}" step="1" value="{slider["start"]}" '
        f'aria-valuetext="{text}" autocomplete="off">'
        f'<output for="{control}" aria-live="off">{text}</output></div>\n'
    )


def _readouts(payload: dict) -> str:
    rows = "".join(
        f"<div><dt>{html.escape(readout['label'])}</dt>"
        f'<dd><span data-readout="{number}">{html.escape(readout["text"])}</span> '
        f'<span data-unit="{html.escape(readout["unit"])}" '
        f'data-one="{html.escape(readout["one"])}">'
        f"{html.escape(_unit(readout['text'], readout))}</span></dd></div>"
        for number, readout in enumerate(payload["readouts"])
    )
    return f'<dl class="explorable-readouts" aria-live="polite">{rows}</dl>' if rows else ""


def _table(payload: dict) -> str:
    columns = payload["table"]
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name, _ in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>"
        for row in zip(*(cells for _, cells in columns), strict=True)
    )
    return (
        '<details class="explorable-table"><summary>Table of values</summary>'
        '<div tabindex="0" role="region" aria-label="Table of values">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></details>"
    )


def _symbol(name: str) -> str:
    head, _, index = name.partition("_")
    letter = html.unescape(f"&{head};") if len(head) > 1 else head  # tau is τ
    return f"<var>{letter.strip('&;')}{f'<sub>{index}</sub>' if index else ''}</var>"


def _unit(number: str, of: dict) -> str:
    """What a number on the page is counted in: 2 tokens, and 1 token."""
    return of["one" if number == "1" else "unit"]
