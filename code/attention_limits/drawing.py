"""Charts as the browser draws them: compiled for Vega, as posters, and Vega itself.

All of it comes out of vl-convert, a compiler and a browser's engine in one wheel: no network.
"""

import functools
import io
import json
import re
from typing import Any

POSTER_WIDTH = 680  # of what stands where no script runs, and until one does
POSTER_COLOURS = 64  # of the image: a third of its bytes
SHARPNESS = 1.5  # its pixels a pixel of the page


@functools.lru_cache(maxsize=64)
def compiled(spec: str) -> str:
    """A Vega-Lite specification in JSON as one of Vega: browsers need not know Vega-Lite."""
    import vl_convert

    return json.dumps(vl_convert.vegalite_to_vega(spec))


@functools.lru_cache(maxsize=64)
def drawing(spec: str, prefix: str) -> str:
    """The chart where its sliders start, as SVG whose ids begin with ``prefix``."""
    import vl_convert

    svg = vl_convert.vegalite_to_svg(_wide(spec))
    svg = re.sub(r'(id="|url\(#)', rf"\g<1>{prefix}-", svg)
    return svg.replace("<svg ", '<svg aria-hidden="true" ', 1)


@functools.lru_cache(maxsize=64)
def image(spec: str) -> bytes:
    """The same as PNG on white, for front ends that take SVG out of what they show."""
    import vl_convert
    from PIL import Image

    wide = {**json.loads(_wide(spec)), "background": "white"}
    drawn = Image.open(io.BytesIO(vl_convert.vegalite_to_png(wide, scale=SHARPNESS)))
    small = io.BytesIO()
    drawn.convert("RGB").quantize(POSTER_COLOURS).save(small, "PNG", optimize=True)
    return small.getvalue()


def height(svg: str) -> float:
    """How high a drawing is, in pixels."""
    found = re.search(r'<svg [^>]*\bheight="([\d.]+)"', svg)
    assert found, "vl-convert gives each drawing its size"
    return float(found[1])


@functools.cache
def vega_script() -> str:
    """Vega as a plain script that publishes ``attentionLimitsVega``; making it takes a second."""
    import vl_convert

    # Of what vl-convert carries, this address names Vega alone, without the compiler of Vega-Lite;
    # nothing is fetched. A function around the bundle keeps its many names out of the page's way.
    source = f"https://cdn.jsdelivr.net/npm/vega@{vl_convert.get_vega_version()}/+esm"
    publish = "window.attentionLimitsVega = { View, parse };"
    bundle = vl_convert.javascript_bundle(f'import {{ View, parse }} from "{source}"; {publish}')
    return f"(() => {{{bundle}}})();\n"


def _wide(spec: str) -> Any:
    return json.dumps({**json.loads(spec), "width": POSTER_WIDTH})
