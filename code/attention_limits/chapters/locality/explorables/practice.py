"""The slider of the page on practice."""

from attention_limits.chapters.locality.derivations.practice import CACHE, GLOBAL_CACHE, SHARE
from attention_limits.chapters.locality.derivations.reach import BACK, FIELD
from attention_limits.explorable import FOUR, Explorable, Readout, Slider, explore
from attention_limits.formula import Formula
from attention_limits.symbols import around, b, d, full, layers, n, taken, taps, w

DEEP = {layers: 48}
LONG = 131_072  # tokens, at which numbers are read
OF_A_HEAD = {d: 128, b: 2}


def mixture() -> Explorable:
    """What a stack holds over the length of its sequence, by how many layers are global."""
    mebi = {
        name: Formula(cache.subs({**DEEP, **OF_A_HEAD}).expr / 2**20, "MiB", name)
        for name, cache in {"all global": GLOBAL_CACHE, "mixture": CACHE}.items()
    }
    share = Formula(100 * SHARE.subs({**DEEP, n: LONG}).expr, "%", "share")
    windows = {layers: DEEP[layers] - full}  # the others
    back = Formula(BACK.subs({around: w, taken: 1, **windows}).expr, "tokens back", "back")
    return explore(
        list(mebi.values()),
        x=n,
        over=(128, 1_048_576),
        sliders=[
            Slider(full, (1, 2, 3, 4, 6, 8, 12, 16, 24, 36), 8),
            Slider(w, (128, 512, 1024, 2048, 4096, 8192), 1024),
        ],
        name="mixture",
        title="How many layers have to be global?",
        caption="Make windows narrower, from 1,024 tokens to 128: how much does that save? "
        "Then take global layers away instead. The last two numbers are those of a stack of the "
        "layers with windows alone, which weigh all tokens of a window alike.",
        alt_text="Two rising lines on logarithmic axes. They are one line up to the width of a "
        "window; then the lower one bends, runs flat for a while and rises again, in parallel to "
        "the upper one.",
        log="xy",
        y_title="MiB of cache for each key-value head",
        key=True,
        readouts=[
            Readout("cache at 131,072 tokens, of all global", share, ".1f"),
            Readout("windows alone reach", FIELD.subs({taps: w, **windows}), FOUR),
            Readout("in the mean, weight comes from", back, FOUR),
        ],
    )
