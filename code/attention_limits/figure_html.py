"""Explorables as accessible figures: one shape for the book's pages and for notebooks."""

import base64
import functools
import html
import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

import sympy as sp

from attention_limits import drawing, symbols

Payload = Mapping[str, Any]  # what an explorable says of itself
# TeX that is a letter, with an index or without.
LETTER = re.compile(
    r"(?:\\(?P<greek>[A-Za-z]+)|(?P<latin>[A-Za-z]))"
    r"(?:_(?:\\text)?\{?(?P<index>\w+)\}?)?(?P<star>\^\*)?"
)


def on_page(payload: Payload, name: str) -> str:
    """The figure of a page, with an id: a poster and controls, which a script brings to life."""
    svg = _poster(payload, name)
    # At once, before anything is painted: what appeared later would push the page down.
    reveal = "<script>document.currentScript.previousElementSibling.hidden = false</script>"
    return _figure(payload, svg, f' id="{html.escape(name)}"', reveal)


def live(payload: Payload) -> str:
    """The same for a notebook, where it may be shown twice, and has no id."""
    return _figure(payload, _poster(payload, payload["name"]))


def still(payload: Payload, poster: str) -> str:
    """The figure where nothing of ours runs: an image, its words and numbers.

    Args:
        payload: of the explorable.
        poster: by which the live figure finds it, to take its place.
    """
    png = base64.b64encode(drawing.image(_spec(payload))).decode()
    picture = (
        f'<img src="data:image/png;base64,{png}" width="{drawing.POSTER_WIDTH}" '
        f'alt="{html.escape(_described(payload))}" style="height: auto; max-width: 100%">'
    )
    return (
        f'<figure data-poster="{poster}" style="margin: 1em 0">'
        f"<p><strong>{html.escape(payload['title'])}</strong></p>{picture}\n"
        f"<p>Drawn for {html.escape(_setting(payload))}.</p>\n{_listed(payload)}"
        f"<figcaption>{html.escape(payload['caption'])}</figcaption>\n{_table(payload)}</figure>"
    )


def _figure(payload: Payload, poster: str, attributes: str = "", reveal: str = "") -> str:
    embedded = json.dumps(_data(payload), sort_keys=True).replace("</", "<\\/")
    sliders = "".join(_slider(slider) for slider in payload["sliders"])
    height = round(drawing.height(poster))
    return f"""<figure class="explorable"{attributes} aria-label="{html.escape(payload["title"])}">
<p class="explorable-title">{html.escape(payload["title"])}</p>
<div class="explorable-view" role="img" aria-label="{html.escape(_described(payload))}" \
style="min-height: {height}px">{poster}</div>
<div class="explorable-panel" hidden>
{_presets(payload)}
{sliders}<button type="button" class="explorable-reset">Reset</button>
</div>{reveal}
<p class="explorable-note" role="status"></p>
<p class="explorable-setting">Drawn for {html.escape(_setting(payload))}.</p>
{_readouts(payload)}
<figcaption>{html.escape(payload["caption"])}</figcaption>
{_table(payload)}
<p class="explorable-status" role="status"></p>
<script type="application/json">{embedded}</script>
</figure>
"""


def _data(payload: Payload) -> dict[str, Any]:
    """What the script needs beside the elements."""
    spec, table = json.loads(drawing.compiled(_spec(payload))), payload["table"]
    spec["data"] = [*spec.get("data", []), *table["data"]]
    _, *columns = (data["name"] for data in table["data"])
    return {
        "alt": payload["alt"],
        "spec": spec,
        "sliders": payload["sliders"],
        "presets": payload["presets"],
        "drag": payload["drag"],
        "table": {
            "along": table["along"],
            "quantity": table["quantity"],
            "labels": table["labels"],
            "columns": columns,
        },
    }


def _spec(payload: Payload) -> str:
    return json.dumps(payload["spec"], sort_keys=True)


def _poster(payload: Payload, name: str) -> str:
    # Some posters clip; their ids must not meet those of another on the page.
    return drawing.drawing(_spec(payload), f"poster-{zlib.crc32(name.encode()):08x}")


def _setting(payload: Payload, *, but: str = "") -> str:
    """Where the sliders start, in words; without that of the symbol ``but``."""
    return "; ".join(
        f"{slider['label']}: {_value(slider)}"
        for slider in payload["sliders"]
        if slider["name"] != but
    )


def _described(payload: Payload) -> str:
    """What there is to see, and for which setting."""
    return f"{payload['alt']} Drawn for {_setting(payload)}."


def _presets(payload: Payload) -> str:
    if not payload["presets"]:
        return ""
    buttons = "".join(
        f'<button type="button" data-preset="{html.escape(label)}">{html.escape(label)}</button>'
        for label, _ in payload["presets"]
    )
    return f'<div class="explorable-presets" role="group" aria-label="Presets">{buttons}</div>'


def _value(slider: Mapping[str, Any]) -> str:
    label = slider["labels"][slider["start"]]
    return f"{label} {_unit(label, slider)}".strip()


def _slider(slider: Mapping[str, Any]) -> str:
    text = html.escape(_value(slider))
    return (
        f'<div class="explorable-slider"><label><span>{html.escape(slider["label"])}'
        f"{_symbol(slider['name'])}</span>"
        f'<input type="range" data-signal="{slider["name"]}" min="0" '
        f'max="{len(slider["values"]) - 1}" step="1" value="{slider["start"]}" '
        f'aria-valuetext="{text}" autocomplete="off"></label>'
        f'<output aria-live="off">{text}</output></div>\n'
    )


def _readouts(payload: Payload) -> str:
    rows = "".join(
        f"<div><dt>{html.escape(readout['label'])}</dt>"
        f'<dd><span data-readout="{number}">{html.escape(readout["text"])}</span> '
        f'<span data-unit="{html.escape(readout["unit"])}" '
        f'data-one="{html.escape(readout["one"])}">'
        f"{html.escape(_unit(readout['text'], readout))}</span></dd></div>"
        for number, readout in enumerate(payload["readouts"])
    )
    return f'<dl class="explorable-readouts">{rows}</dl>' if rows else ""


def _listed(payload: Payload) -> str:
    """The same where none of our styles may be: a list of terms floats in some notebooks."""
    rows = "".join(
        f"<li>{html.escape(one['label'])}: {html.escape(one['text'])} "
        f"{html.escape(_unit(one['text'], one))}</li>"
        for one in payload["readouts"]
    )
    return f"<ul>{rows}</ul>" if rows else ""


def _table(payload: Payload) -> str:
    table = payload["table"]
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name, _ in table["start"])
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>"
        for row in zip(*(cells for _, cells in table["start"]), strict=True)
    )
    setting = _setting(payload, but=table["along"])
    said = [_capital(table["quantity"]), setting and f"For {setting}"]
    caption = f"<caption>{html.escape(' '.join(f'{words}.' for words in said if words))}</caption>"
    return (
        '<details class="explorable-table"><summary>Table of values</summary>'
        '<div tabindex="0" role="region" '
        f'aria-label="Table of values: {html.escape(payload["title"])}">'
        f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        "</details>"
    )


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


@functools.cache
def _symbol(name: str) -> str:
    """The letter that formulas have for it; nothing for what only a slider moves."""
    symbol = next(symbol for symbol in symbols.MEANING if symbol.name == name)
    tex = symbols.MEANING[symbol].tex or ("" if symbol in symbols.CHOICES else sp.latex(symbol))
    if not (parts := LETTER.fullmatch(tex)):
        return ""
    letter = html.unescape(f"&{parts['greek']};") if parts["greek"] else parts["latin"]
    index = f"<sub>{parts['index']}</sub>" if parts["index"] else ""
    return f" <var>{letter}{index}{'*' if parts['star'] else ''}</var>"


def _unit(number: str, of: Mapping[str, Any]) -> str:
    """What a number on the page is counted in: 2 tokens, and 1 token."""
    return of["one" if number == "1" else "unit"]
