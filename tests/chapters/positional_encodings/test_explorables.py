"""The charts on positions, against the encodings that they speak of."""

import itertools
import json
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import vl_convert

from attention_limits import style
from attention_limits.chapters.positional_encodings.derivations import encodings as derived
from attention_limits.chapters.positional_encodings.derivations import (
    longer_contexts as longer_derived,
)
from attention_limits.chapters.positional_encodings.derivations import rotary as rotary_derived
from attention_limits.chapters.positional_encodings.explorables import encodings as charts
from attention_limits.chapters.positional_encodings.explorables import (
    longer_contexts as longer_charts,
)
from attention_limits.chapters.positional_encodings.explorables import rotary as rotary_charts
from attention_limits.positions import alibi, rotary, sinusoidal
from attention_limits.shapes import ROTARY


def stops(chart):
    """All settings of a chart's sliders, by the names of their symbols."""
    names = [slider.symbol.name for slider in chart.sliders]
    for values in itertools.product(*(slider.values for slider in chart.sliders)):
        yield dict(zip(names, values, strict=True))


def drawn(chart, **values):
    """The chart's SVG, with some sliders moved."""
    spec = json.loads(json.dumps(chart.spec))
    for name, value in values.items():
        next(param for param in spec["params"] if param["name"] == name)["value"] = value
    return ElementTree.fromstring(vl_convert.vegalite_to_svg({**spec, "width": 480}))


def said(chart, label, **values):
    """What a readout says there."""
    formula = next(r.formula for r in chart.readouts if r.label == label)
    return formula.numpy(**{symbol.name: values[symbol.name] for symbol in formula.symbols}).item()


# --- sinusoids --------------------------------------------------------------------------


@pytest.mark.parametrize("at", [{}, {"base": 5}, {"first": 2**17}, {"first": 63, "base": 5}])
def test_cells_are_the_encoding(at):
    """Sines stood where cosines stand, positions began elsewhere, or colours were exchanged."""
    values = {"base": 10_000, "first": 0} | at
    colours = {style.BLUE: 1, style.VERMILLION: -1}
    cells = [
        colours[node.get("fill")] * float(node.get("opacity") or 1)
        for node in drawn(charts.heat_map(), **values).iter()
        if node.get("fill") in colours
    ]
    positions = torch.arange(charts.COLUMNS) + values["first"]
    encoding = sinusoidal.encoding(positions, 2 * charts.PAIRS, base=values["base"])
    sines, cosines = encoding.mT.unflatten(0, (-1, 2)).unbind(1)
    np.testing.assert_allclose(cells, torch.cat([sines, cosines]).flatten(), atol=1e-6)


def test_the_first_entry_is_at_the_top():
    """The map stood on its head: its numbers were right, and its picture was another's."""
    cells = [
        node.get("d") for node in drawn(charts.heat_map()).iter() if node.get("fill") == style.BLUE
    ]
    heights = [float(re.match(r"M[^,]+,([^hvHVlL]+)", path)[1]) for path in cells]
    assert heights[0] < heights[-1]


def test_a_base_brings_all_periods_into_sight():
    """The caption sends the reader for a base at which a diamond is still out of sight."""
    base = charts.heat_map().sliders[0].values[0]
    assert rotary_charts.SLOWEST(F=charts.PAIRS, base=base) < charts.COLUMNS
    assert rotary_charts.SLOWEST(F=charts.PAIRS, base=10_000) > charts.COLUMNS


def first_rise(F, base):
    """The first distance at which the inner product rises, or None."""
    distance = np.arange(charts.DISTANCES + 1)
    rises = np.diff(derived.KERNEL.numpy(F=F, base=base, delta=distance)) > 0
    return int(rises.argmax()) + 1 if rises.any() else None


@pytest.mark.parametrize("at", [(2, 10), (2, 10**6), (32, 10_000), (128, 10_000), (128, 10)])
def test_the_diamond_marks_the_first_rise(at):
    """The label named the token before, or the second rise, or the last."""
    at = dict(zip(("F", "base"), at, strict=True))
    texts = [node.text for node in drawn(charts.kernel(), **at).iter() if node.text]
    assert [text for text in texts if "rises" in text] == [f"rises at {first_rise(**at)}"]


def test_no_setting_falls_all_the_way():
    """The caption asks for a setting without a rise; the text says that there is none."""
    firsts = {tuple(at.values()): first_rise(**at) for at in stops(charts.kernel())}
    assert None not in firsts.values()
    assert max(firsts.values()) == 44 < charts.DISTANCES / 4  # as the words for it have it


@pytest.mark.parametrize(("F", "base"), [(2, 10), (16, 10_000), (128, 10**6)])
def test_all_frequencies_together_are_fine_and_far(F, base):
    """The diamond stood on the line, or the dots were not those of the encoding."""
    at = {"F": F, "base": base}
    frequencies = sinusoidal.frequencies(2 * F, base=base)
    here, there = sinusoidal.encoding(torch.tensor([100, 101]), 2 * F, base=base)
    moved = (there - here).unflatten(0, (-1, 2)).norm(dim=1)
    alone = rotary_charts.OF_EACH.numpy(i=np.arange(F), **at)
    np.testing.assert_allclose(alone, moved, rtol=1e-6)  # differences of numbers near 1
    together = next(t.formula for t in rotary_charts.tell_apart().traces if t.field == "together")
    assert together(**at) == pytest.approx((there - here).norm().item())
    assert together(**at) > alone.max()
    assert rotary_charts.SLOWEST(**at) == pytest.approx(2 * math.pi / frequencies[-1].item())


# --- slopes -----------------------------------------------------------------------------


def test_windows_are_those_of_the_slopes():
    """Head 1 had the slope of head 0, or the heads of a model of another size."""
    for heads in charts.alibi_window().sliders[0].values:
        windows = derived.WINDOW_OF_HEAD.numpy(head=np.arange(1, heads + 1), h=heads, epsilon=0.01)
        slopes = alibi.slopes(heads, dtype=torch.float64).numpy()
        np.testing.assert_allclose(windows, math.log(100) / slopes, rtol=1e-12)


def test_heads_that_see_the_whole_text_are_counted():
    """One too many, or -3 heads of a text that is too long for all of them."""
    chart = charts.alibi_window()
    for at in stops(chart):
        windows = math.log(1 / at["epsilon"]) / alibi.slopes(at["h"], dtype=torch.float64)
        seen = (windows >= at["n"]).sum().item()
        assert said(chart, "windows of the whole sequence", **at) == seen, at
        assert said(chart, "narrowest window", **at) == pytest.approx(windows[0].item())
        assert said(chart, "widest window", **at) == pytest.approx(windows[-1].item())


def test_windows_of_all_heads_and_of_none_are_counted():
    """The count ran past the number of heads, or below zero, or met a logarithm of a negative."""
    assert derived.LONG_WINDOWS(h=8, epsilon=0.01, n=1) == 8
    assert derived.LONG_WINDOWS(h=8, epsilon=0.01, n=10**6) == 0
    assert derived.LONG_WINDOWS(h=8, epsilon=1, n=1) == 0


# --- rotations --------------------------------------------------------------------------


def unfinished(d, base, context):
    """How many frequencies of the code turn less than once."""
    return (2 * math.pi / sinusoidal.frequencies(d, base=base) > context).sum().item()


def test_unfinished_turns_are_counted():
    """The frequency that just completes a turn was counted, or the first one forgotten."""
    chart = longer_charts.turns_in_training()
    for at in stops(chart):
        if at["factor"] == 8:  # which does not matter to it
            count = said(chart, "less than one turn in training", **at)
            assert count == unfinished(at["d"], at["base"], at["context"]), at


@pytest.mark.parametrize("context", [64, 4096, 131_072])
def test_another_base_leaves_all_but_the_last_new(context):
    """The count was negative, or the last frequency, which is right, was among them."""
    chart, d, base = longer_charts.turns_in_training(), 128, 10_000
    at = {"d": d, "base": base, "context": context, "factor": 8}
    theta, changed = sinusoidal.frequencies(d, base=base), rotary.ntk_aware(d, base, 8.0)
    new = (theta * context < 2 * math.pi) & (8 * changed > 1.0001 * theta)
    assert said(chart, "new angles with NTK-aware scaling", **at) == new.sum().item()


def test_the_ramp_is_that_of_the_package():
    """YaRN's usual ends are 1 and 32 turns; the chart has its own numbers for them."""
    yarn = next(t.formula for t in longer_charts.turns_in_training().traces if t.field == "yarn")
    drawn = yarn.numpy(i=np.arange(64), d=128, base=10_000, context=4096, factor=8)
    theta = sinusoidal.frequencies(128, base=10_000)
    np.testing.assert_allclose(drawn, 8 * rotary.yarn(128, 10_000, 8, 4096) / theta)


def test_diamonds_are_the_angles_that_are_new():
    """A dot beyond the line was green, or one before it a diamond."""
    svg = drawn(longer_charts.turns_in_training())
    new = [node for node in svg.iter() if node.get("fill") == style.VERMILLION]
    assert len(new) == 18 + 17  # unchanged, and with another base all but the last


def test_all_turns_and_no_turns_are_counted():
    """The count was negative, or more than there are frequencies."""
    assert longer_derived.UNFINISHED(F=64, base=10_000, context=1) == 64
    assert longer_derived.UNFINISHED(F=64, base=10_000, context=10**6) == 0


@pytest.mark.parametrize(
    ("name", "count"), [("Llama-2 7B", 18), ("Llama-3 8B", 29), ("Qwen3-32B", 24)]
)
def test_published_models_do_not_finish_their_turns(name, count):
    """What the caption's question comes to."""
    model = ROTARY[name]
    assert unfinished(model.d, model.base, model.trained) == count
    preset = longer_charts.turns_in_training().presets[name]
    at = {symbol.name: value for symbol, value in preset.items()}
    assert at == {"base": model.base, "d": model.d, "context": model.trained, "factor": 8}


INTEGERS = {torch.bfloat16: torch.int16, torch.float16: torch.int16, torch.float32: torch.int32}
FORMATS = pytest.mark.parametrize("dtype", INTEGERS, ids=str)


def bits_of(dtype):
    return rotary_charts.FORMATS[str(dtype).removeprefix("torch.")]


@FORMATS
def test_the_largest_error_of_an_angle_is_that_of_the_format(dtype):
    """A whole spacing for half of one, one bit too many, or an exponent off by one."""
    generator = torch.Generator().manual_seed(0)
    # By way of float32 PyTorch would round a float64 to half precision twice.
    wide = torch.float64 if dtype == torch.float32 else torch.float32
    angles = 2 ** (21 * torch.rand(200_000, dtype=wide, generator=generator) - 6)
    errors = (angles.to(dtype).double() - angles.double()).abs().numpy()
    bound = rotary_derived.ANGLE_ERROR.numpy(theta=angles.double().numpy(), bits=bits_of(dtype))
    assert (errors <= bound).all()
    for size in np.unique(bound):
        assert errors[bound == size].max() > 0.99 * size


@FORMATS
def test_numbers_of_a_format_are_twice_the_largest_error_apart(dtype):
    """At powers of two the distance to the next number changes, and not one number later."""
    here = torch.tensor([0.5, 1, 1.5, 2, 3, 4, 255, 256, 1000, 1024, 32768], dtype=dtype)
    there = (here.view(INTEGERS[dtype]) + 1).view(dtype)
    bound = rotary_derived.ANGLE_ERROR.numpy(theta=here.double().numpy(), bits=bits_of(dtype))
    assert ((there.double() - here.double()).numpy() == 2 * bound).all()


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_the_first_position_that_is_too_coarse(name):
    """The dashed line stood a power of two too far to the left or to the right."""
    chart, coarse = rotary_charts.angle_precision(), float(rotary_charts.TOO_COARSE)
    positions = np.arange(1, rotary_charts.LARGEST_FLOAT16)
    for omega in chart.sliders[0].values:
        errors = rotary_derived.ANGLE_ERROR.numpy(
            theta=omega * positions, bits=rotary_charts.FORMATS[name]
        )
        first = said(chart, f"{name} may be 0.1 off from", omega=omega)
        if first <= positions[-1]:
            assert first == positions[errors > coarse][0], omega
        else:
            assert (errors <= coarse).all()


def test_bfloat16_is_half_a_turn_off_after_a_thousand_tokens():
    """The caption says so."""
    chart, positions = rotary_charts.angle_precision(), np.arange(1, 2000)
    theta = chart.sliders[0].start * positions
    off = (
        rotary_derived.ANGLE_ERROR.numpy(theta=theta, bits=rotary_charts.FORMATS["bfloat16"])
        > math.pi
    )
    assert 1000 < positions[off][0] < 1200


@FORMATS
def test_whole_positions_are_exact_up_to_the_bits_of_the_format(dtype):
    """Why the slider leaves the first frequency out, whose angles are the positions."""
    last = min(2 ** bits_of(dtype), 2**15)
    whole = torch.arange(last + 1)
    assert (whole.to(dtype).long() == whole).all()
    after = torch.tensor(2 ** bits_of(dtype) + 1)
    assert after.to(dtype).long() != after


def test_the_axis_ends_where_float16_does():
    """A stair went on where there are no numbers."""
    assert torch.finfo(torch.float16).max == rotary_charts.LARGEST_FLOAT16
    assert re.search("where float16 does", rotary_charts.angle_precision().caption)
