"""How wide windows are, when a page has settled in one, and what its reader stumbles over there."""

from pathlib import Path

# Beside the desktop's, of 1280, in which every page is opened: from a small phone's to a large
# screen's. A page that is enlarged to 200 % has half of its window's width.
WIDTHS = (320, 360, 390, 414, 480, 560, 640, 768, 820, 960, 1024, 1200, 1440, 1920)

READING = Path(__file__).with_name("reading.js").read_text(encoding="utf-8")

# The observers of sizes are called at the end of a frame; then sidebars slide, and Vega draws.
SETTLE = """async () => {
    const frame = () => new Promise(requestAnimationFrame);
    const ends = (animation) => Number.isFinite(animation.effect.getComputedTiming().endTime);
    await frame(), await frame();
    await Promise.allSettled(document.getAnimations().filter(ends).map((a) => a.finished));
    await frame(), await frame();
    const figures = [...document.querySelectorAll("figure.explorable")];
    await Promise.all(figures.map(({ explorable }) => explorable?.view?.runAsync()));
    await frame();
}"""
