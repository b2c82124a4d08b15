"""Rotations: relative whatever the offset, in either layout, with frequencies that are scaled."""

import math

import numpy as np
import pytest
import torch
from helpers.tensors import draw, normal

from attention_limits.positions import rotary


def scores(q, k, turn=rotary.apply, **options):
    """Inner products of turned queries and keys, summed in float64 and over √d."""
    q, k = (turn(x, **options).double() for x in (q, k))
    return q @ k.mT / q.shape[-1] ** 0.5


def test_an_example_by_hand():
    """A quarter turn takes (1, 0) to (0, 1); the slower pair has made half of it."""
    frequencies = torch.tensor([math.pi / 2, math.pi / 4], dtype=torch.float64)
    x = torch.tensor([[1.0, 0.0, 1.0, 0.0]], dtype=torch.float64)
    root = 0.5**0.5
    turned = torch.tensor([[0.0, 1.0, root, root]], dtype=torch.float64)
    options = {"frequencies": frequencies, "start": 1}
    torch.testing.assert_close(rotary.apply(x, **options), turned)
    # In halves, the pairs are (1, 1) and (0, 0).
    halves = torch.tensor([[-1.0, 0.0, 1.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(rotary.apply(x, layout="half", **options), halves)


@pytest.mark.parametrize("d", [2, 8, 64])
@pytest.mark.parametrize("start", [0, 5, 1000])
def test_is_a_multiplication_of_complex_numbers(start, d):
    """Another road to the same: a pair is a number, its rotation a factor e^(iθp)."""
    x = normal(2, 9, d)
    angles = torch.outer(
        torch.arange(start, start + 9).double(),
        torch.tensor([10000 ** (-2 * i / d) for i in range(d // 2)], dtype=torch.float64),
    )
    factors = torch.polar(torch.ones_like(angles), angles)
    expected = torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2))) * factors)
    actual = rotary.apply(x, start=start)
    torch.testing.assert_close(actual, expected.flatten(-2), atol=1e-12, rtol=0)


def test_the_layout_of_halves_is_the_one_of_many_published_models():
    """x cos + (−x₂, x₁) sin, angles repeated: as their codes have it."""
    x = normal(9, 8)
    angles = torch.outer(torch.arange(9).double(), rotary.frequencies(8)).repeat(1, 2)
    first, second = x.chunk(2, -1)
    expected = x * angles.cos() + torch.cat([-second, first], -1) * angles.sin()
    torch.testing.assert_close(rotary.apply(x, layout="half"), expected, atol=1e-12, rtol=0)


# Relative


@pytest.mark.parametrize("layout", rotary.LAYOUTS)
@pytest.mark.parametrize("offset", [10**3, 10**4, 10**5, 10**6])
@pytest.mark.parametrize(
    ("dtype", "within"),
    [(torch.float64, 1e-9), (torch.float32, 2e-6), (torch.bfloat16, 0.03)],
    ids=str,
)
def test_a_common_shift_leaves_the_scores(dtype, within, offset, layout):
    """In bfloat16, what is left is the rounding of the outputs, which no offset makes larger."""
    q, k = normal(33, 64, dtype=dtype), normal(33, 64, seed=1, dtype=dtype)
    here = scores(q.double(), k.double(), layout=layout)
    there = scores(q, k, layout=layout, start=offset)
    assert (there - here).abs().max() < within


def test_a_shift_of_the_keys_alone_changes_the_scores():
    """Else "relative" would hold because nothing was turned."""
    q, k = normal(33, 64), normal(33, 64, seed=1)
    moved = rotary.apply(q) @ rotary.apply(k, start=1).mT
    assert (moved - rotary.apply(q) @ rotary.apply(k).mT).abs().max() > 1


@pytest.mark.parametrize("p", [64, 256, 1024])
def test_angles_in_bfloat16_would_break_it(p, record_property):
    """The same rotation with angles made in the dtype of the inputs, as autocast would have it."""

    def coarse(x, start=0):
        positions = torch.arange(start, start + x.shape[-2]).bfloat16()
        turns = positions[:, None] * rotary.frequencies(64).bfloat16()
        factors = torch.polar(torch.ones(turns.shape), turns.float())
        pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
        return torch.view_as_real(pairs * factors).flatten(-2)

    q, k = draw((400, 1, 64), (400, 4, 64), dtype=torch.bfloat16)
    q, k = q.expand(400, 4, 64), k.expand(400, 4, 64)
    error = {}
    for name, turn in {"ours": rotary.apply, "coarse": coarse}.items():
        difference = scores(q, k, turn, start=p) - scores(q, k, turn)
        error[name] = difference.square().mean().sqrt().item()
    record_property(f"score error at {p}, angles in bfloat16 / ours", error)
    assert error["ours"] < 0.006
    assert error["coarse"] > {64: 0.015, 256: 0.1, 1024: 0.2}[p]


@pytest.mark.parametrize("layout", rotary.LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_low_precision_rounds_once(dtype, layout):
    """Sines and cosines in the dtype of the inputs would be two more roundings, and more error."""
    x = normal(33, 64, dtype=dtype)
    exact = rotary.apply(x.double(), start=1000, layout=layout)
    error = (rotary.apply(x, start=1000, layout=layout).double() - exact).abs()
    assert (error <= 0.501 * torch.finfo(dtype).eps * exact.abs() + 1e-6).all()


def test_lengths_stay():
    x = normal(33, 64)
    turned = rotary.apply(x, start=12345)
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    pairs = turned.unflatten(-1, (-1, 2)).norm(dim=-1)
    torch.testing.assert_close(pairs, x.unflatten(-1, (-1, 2)).norm(dim=-1))


@pytest.mark.parametrize("distance", [0, 1, 30, 199])
def test_a_score_may_be_largest_at_any_distance(distance):
    """ "It decays" is said of rotary encodings; a key k = R(Δ) q peaks Δ tokens back."""
    q = normal(1, 64)
    k = rotary.apply(q, start=distance).expand(300, 64)
    toward = rotary.apply(q, start=299) @ rotary.apply(k).mT
    assert 299 - toward.argmax() == distance


# Layouts


def test_the_ways_between_the_layouts_by_hand():
    x = torch.arange(6.0)
    assert rotary.to_half(x).tolist() == [0, 2, 4, 1, 3, 5]
    assert rotary.to_interleaved(x).tolist() == [0, 3, 1, 4, 2, 5]


def test_each_way_undoes_the_other():
    x = normal(3, 5, 12)
    assert torch.equal(rotary.to_interleaved(rotary.to_half(x)), x)
    assert torch.equal(rotary.to_half(rotary.to_interleaved(x)), x)


def test_one_layout_is_the_other_in_another_order():
    x = normal(3, 9, 12)
    turned = rotary.to_half(rotary.apply(x, start=4))
    assert torch.equal(rotary.apply(rotary.to_half(x), layout="half", start=4), turned)


def test_with_its_columns_permuted_a_model_scores_the_same():
    """And without: weights loaded into the wrong layout give other scores, and no error."""
    x, w_q, w_k = normal(9, 20), normal(20, 8, seed=1), normal(20, 8, seed=2)
    expected = scores(x @ w_q, x @ w_k)
    converted = scores(x @ rotary.to_half(w_q), x @ rotary.to_half(w_k), layout="half")
    torch.testing.assert_close(converted, expected)
    forgotten = scores(x @ w_q, x @ w_k, layout="half")
    assert (forgotten - expected).abs().max() > 1


# Scaled frequencies

SHAPES = [(128, 10000.0, 4.0, 2048), (64, 500000.0, 32.0, 8192), (16, 100.0, 2.0, 64)]
shapes = pytest.mark.parametrize(("d", "base", "factor", "context"), SHAPES)


def wavelengths(d, base):
    return [2 * math.pi * base ** (2 * i / d) for i in range(d // 2)]


@shapes
def test_interpolation_reads_the_dial_of_a_nearer_position(d, base, factor, context):
    """Its angles at `factor` times the trained length are those at the trained length."""
    slow = rotary.interpolated(rotary.frequencies(d, base=base), factor)
    expected = [2 * math.pi / (factor * length) for length in wavelengths(d, base)]
    np.testing.assert_allclose(slow, expected, rtol=1e-13)
    x, far = normal(1, d), int(factor * context)
    at_the_end = rotary.apply(x, frequencies=slow, start=far)
    torch.testing.assert_close(at_the_end, rotary.apply(x, base=base, start=context))


@shapes
def test_ntk_aware_keeps_the_first_and_divides_the_last(d, base, factor, context):
    ratio = rotary.ntk_aware(d, base, factor) / rotary.frequencies(d, base=base)
    assert ratio[0] == 1
    assert ratio[-1].item() == pytest.approx(1 / factor, rel=1e-12)
    # Geometric between: each is divided by as much more as the one before.
    np.testing.assert_allclose(ratio[1:] / ratio[:-1], factor ** (-1 / (d / 2 - 1)), rtol=1e-12)


@shapes
@pytest.mark.parametrize(("low", "high"), [(1, 32), (0.5, 4)])
def test_yarn_divides_by_turns(d, base, factor, context, low, high):
    """Recomputed from wavelengths, one by one, in Python."""
    actual = rotary.yarn(d, base, factor, context, low, high)
    plain, kinds = rotary.frequencies(d, base=base), set()
    for i, length in enumerate(wavelengths(d, base)):
        turns, theta = context / length, 2 * math.pi / length
        if turns > high:
            kinds.add("stays")
            assert actual[i] == plain[i]
        elif turns < low:
            kinds.add("divided")
            assert actual[i] == plain[i] / factor
        else:
            kinds.add("between")
            new = (turns - low) / (high - low)
            assert actual[i].item() == pytest.approx(new * theta + (1 - new) * theta / factor)
    assert kinds >= {"divided", "between"}
    assert (actual.diff() < 0).all()  # no two pairs change their order
    if d > 16:
        assert "stays" in kinds


def test_the_defaults_of_yarn_are_the_paper_s():
    defaults = rotary.yarn(128, 10000.0, 16.0, 4096)
    assert torch.equal(defaults, rotary.yarn(128, 10000.0, 16.0, 4096, 1.0, 32.0))


PUBLISHED = {  # d, base, factor, context, low, high: configurations that models were released with
    "Llama 2 times 8": (128, 10_000.0, 8.0, 4096, 1.0, 32.0),
    "DeepSeek-V3": (64, 10_000.0, 40.0, 4096, 1.0, 32.0),
    "Qwen3 times 4": (128, 1_000_000.0, 4.0, 32_768, 1.0, 32.0),
    "narrow": (16, 10_000.0, 2.0, 64, 1.0, 4.0),
}


def published(kind, d, base, factor, context, low, high):
    """What transformers makes of the same configuration."""
    models = pytest.importorskip("transformers.models.llama.modeling_llama")
    told = dict(rope_type=kind, rope_theta=base, factor=factor)
    told |= dict(original_max_position_embeddings=context)
    of_kind = {
        "yarn": dict(beta_fast=high, beta_slow=low),
        "llama3": dict(low_freq_factor=low, high_freq_factor=high),
        "linear": {},
    }
    config = models.LlamaConfig(
        hidden_size=d,
        num_attention_heads=1,
        max_position_embeddings=int(factor * context),
        rope_parameters=told | of_kind[kind],
    )
    return models.LlamaRotaryEmbedding(config).inv_freq.double()


@pytest.mark.parametrize("settings", PUBLISHED.values(), ids=PUBLISHED)
def test_frequencies_of_released_models(settings):
    """A checkpoint with our frequencies instead of its own gives other scores, and no error."""
    d, base, factor, *_ = settings
    close = dict(rtol=1e-5, atol=0)
    own = rotary.yarn(*settings, ramp="pairs")
    torch.testing.assert_close(own, published("yarn", *settings), **close)
    paper = rotary.yarn(*settings)
    assert (paper / own - 1).abs().max() > 0.1, "the two ramps are alike: nothing is tested"
    torch.testing.assert_close(paper, published("llama3", *settings), **close)
    plain = rotary.frequencies(d, base=base)
    torch.testing.assert_close(
        rotary.interpolated(plain, factor), published("linear", *settings), **close
    )


@shapes
def test_a_factor_of_one_changes_nothing(d, base, factor, context):
    plain = rotary.frequencies(d, base=base)
    for scaled in (
        rotary.interpolated(plain, 1),
        rotary.ntk_aware(d, base, 1),
        rotary.yarn(d, base, 1, context),
    ):
        torch.testing.assert_close(scaled, plain, rtol=1e-15, atol=0)
    assert rotary.yarn_temperature(1) == 1


def test_yarn_sharpens_queries_and_keys_each():
    """0.1 ln s + 1 is √(1/t): on both sides of a product, and squared on the scores."""
    assert rotary.yarn_temperature(math.e**10) == pytest.approx(2)
    assert rotary.yarn_temperature(4) == pytest.approx(1.13863, abs=1e-5)
    q, k = normal(9, 64), normal(9, 64, seed=1)
    sharper = rotary.yarn_temperature(16)
    t = 1 / sharper**2
    torch.testing.assert_close(scores(sharper * q, sharper * k), scores(q, k) / t)


def test_scaled_frequencies_are_made_where_they_are_wanted():
    for made in (
        rotary.frequencies(8, device="meta"),
        rotary.ntk_aware(8, 100.0, 2.0, device="meta"),
        rotary.yarn(8, 100.0, 2.0, 64, device="meta"),
    ):
        assert made.is_meta
        assert made.shape == (4,)
        x = torch.empty(5, 8, device="meta")
        assert rotary.apply(x, frequencies=made).is_meta


# Edges


def test_an_enormous_base_leaves_the_slow_pairs_where_they_are():
    """They are without position then, also a million tokens on; the first pair still turns."""
    x = normal(2, 64, dtype=torch.float32)
    turned = rotary.apply(x, base=1e300, start=10**6)
    assert turned.isfinite().all()
    assert torch.equal(turned[:, 16:], x[:, 16:])
    assert (turned[:, :2] - x[:, :2]).abs().max() > 0.1


def test_one_pair_turns_by_a_radian_a_token():
    x = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    for base in (1, 10.0, 1e300):
        turned = rotary.apply(x, base=base, start=3)[0]
        assert turned.tolist() == pytest.approx([math.cos(3), math.sin(3)])
    with pytest.raises(ValueError, match=r"^d must be an integer of at least 4"):
        rotary.ntk_aware(2, 10000.0, 4.0)
    assert rotary.yarn(2, 10000.0, 4.0, 2048).tolist() == [1]  # 326 turns


def test_times_between_positions_turn_by_parts():
    """Two turns of half a step are one of a whole."""
    x, half = normal(5, 8), torch.full((5,), 0.5)
    twice = rotary.apply(rotary.apply(x, positions=half), positions=half)
    torch.testing.assert_close(twice, rotary.apply(x, positions=torch.ones(5)))
    integers = rotary.apply(x, positions=torch.ones(5, dtype=torch.int64))
    assert torch.equal(integers, rotary.apply(x, positions=torch.ones(5)))


@pytest.mark.parametrize("layout", rotary.LAYOUTS)
def test_frequencies_and_times_can_be_learned(layout):
    x, theta = normal(3, 4), rotary.frequencies(4, base=10.0)
    times = torch.tensor([0.0, 1.5, 1.7], dtype=torch.float64)

    def turned(x, theta, times):
        return rotary.apply(x, frequencies=theta, positions=times, layout=layout)

    assert torch.autograd.gradcheck(turned, [t.requires_grad_() for t in (x, theta, times)])


BAD = {
    "as many as entries": torch.ones(8),
    "of a head each": torch.ones(2, 4),
    "integers": torch.ones(4, dtype=torch.int64),
    "bfloat16": torch.ones(4, dtype=torch.bfloat16),
    "an array": np.ones(4),
    "elsewhere": torch.ones(4, device="meta"),
}


@pytest.mark.parametrize("frequencies", BAD.values(), ids=BAD)
def test_frequencies_that_do_not_fit_are_refused(frequencies):
    with pytest.raises(ValueError, match=r"^frequencies must be "):
        rotary.apply(normal(5, 8), frequencies=frequencies)


@pytest.mark.parametrize("factor", [0.5, 0, -2, float("nan"), float("inf"), "4"])
def test_a_factor_that_does_not_lengthen_is_refused(factor):
    for door in (
        lambda: rotary.interpolated(rotary.frequencies(8), factor),
        lambda: rotary.ntk_aware(8, 10000.0, factor),
        lambda: rotary.yarn(8, 10000.0, factor, 2048),
        lambda: rotary.yarn_temperature(factor),
    ):
        with pytest.raises(ValueError, match=r"^factor must be a finite number of at least 1"):
            door()


@pytest.mark.parametrize(("low", "high"), [(2, 2), (3, 1), (-1, 4)])
def test_a_ramp_that_goes_nowhere_is_refused(low, high):
    with pytest.raises(ValueError, match=r"^low must be at least 0 and less than high"):
        rotary.yarn(8, 10000.0, 4.0, 2048, low, high)


def test_a_ramp_of_pairs_that_has_no_ends_is_refused():
    with pytest.raises(ValueError, match=r'^low must be more than 0 for ramp="pairs", got 0'):
        rotary.yarn(8, 10000.0, 4.0, 2048, 0, 4, ramp="pairs")
    with pytest.raises(ValueError, match=r'^base must be more than 1 for ramp="pairs", got 1'):
        rotary.yarn(8, 1.0, 4.0, 2048, ramp="pairs")
    with pytest.raises(ValueError, match=r"^ramp must be"):
        rotary.yarn(8, 10000.0, 4.0, 2048, ramp="linear")


@pytest.mark.parametrize("context", [0, -1, 2048.0])
def test_a_context_that_is_no_count_is_refused(context):
    with pytest.raises(ValueError, match=r"^context must be an integer"):
        rotary.yarn(8, 10000.0, 4.0, context)


def test_what_has_no_pairs_is_refused():
    for way in (rotary.to_half, rotary.to_interleaved):
        with pytest.raises(ValueError, match=r"^x must have an even width"):
            way(normal(5, 7))
    with pytest.raises(ValueError, match=r"^x must have an even width"):
        rotary.apply(normal(5, 0))
    with pytest.raises(ValueError, match=r"^layout must be one of 'interleaved', 'half'"):
        rotary.apply(normal(5, 8), layout="neox")


# Sines and cosines that are made once


@pytest.mark.parametrize("layout", rotary.LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_what_is_made_once_turns_by_the_same(dtype, layout, monkeypatch):
    """A cache that is rounded, or of other positions, gives other scores and raises no error."""
    x = normal(2, 3, 33, 8, dtype=dtype)
    wide, theta = torch.promote_types(dtype, torch.float32), rotary.frequencies(8, base=20.0)
    cos, sin = rotary.cos_sin(torch.arange(70_000), theta, dtype=wide)
    each = torch.randint(70_000, (2, 1, 33), generator=torch.Generator().manual_seed(0))
    options = dict(frequencies=theta, layout=layout)
    expected = {
        "from the first on": rotary.apply(x, **options),
        "in a stream": rotary.apply(x, **options, start=65_536),
        "each sequence": rotary.apply(x, **options, positions=each),
    }
    monkeypatch.setattr(rotary.sinusoidal, "angles", None)  # it is not to be made again
    rows = {
        "from the first on": slice(33),
        "in a stream": slice(65_536, 65_536 + 33),
        "each sequence": each,
    }
    for where, turned in expected.items():
        found = rotary.rotate(x, cos[rows[where]], sin[rows[where]], layout=layout)
        assert found.dtype == dtype
        assert torch.equal(found, turned), where


def test_a_wider_cache_serves_narrow_inputs():
    """One in float64 is right for all; one in float32 is not right for what has more digits."""
    x = normal(5, 8, dtype=torch.float32)
    both = [
        rotary.cos_sin(torch.arange(5), rotary.frequencies(8), dtype=dtype)
        for dtype in (torch.float32, torch.float64)
    ]
    narrow, wide = (rotary.rotate(x, *made) for made in both)
    assert narrow.dtype == wide.dtype == torch.float32
    torch.testing.assert_close(narrow, wide)
    with pytest.raises(ValueError, match=r"^cos must be torch.float64 where x is, got"):
        rotary.rotate(x.double(), *both[0])


def test_what_is_made_once_can_be_learned():
    x, theta, times = normal(3, 4), rotary.frequencies(4, base=10.0), torch.tensor([0.0, 1.5, 1.7])

    def turned(x, theta, times):
        return rotary.rotate(x, *rotary.cos_sin(times, theta, dtype=torch.float64))

    given = [t.double().requires_grad_() for t in (x, theta, times)]
    assert torch.autograd.gradcheck(turned, given)


@pytest.mark.parametrize("name", ["cos", "sin"])
def test_sines_that_do_not_fit_are_refused_by_name(name):
    x = normal(2, 3, 5, 8, dtype=torch.float32)
    good = dict(
        zip(("cos", "sin"), rotary.cos_sin(torch.arange(5), rotary.frequencies(8)), strict=True)
    )
    bad = {
        "one a number": torch.ones(5, 8),
        "one row for all": torch.ones(1, 4),
        "of other tokens": torch.ones(6, 4),
        "of another batch": torch.ones(3, 1, 5, 4),
        "with more axes": torch.ones(1, 2, 3, 5, 4),
        "bfloat16": torch.ones(5, 4, dtype=torch.bfloat16),
        "elsewhere": torch.ones(5, 4, device="meta"),
        "an array": np.ones((5, 4)),
    }
    for part in bad.values():
        with pytest.raises(ValueError, match=rf"^{name} must .*, got "):
            rotary.rotate(x, **{**good, name: part})
    with pytest.raises(ValueError, match=rf"in all heads, {name}\[:, None\]"):
        rotary.rotate(x, **{**good, name: torch.ones(2, 5, 4)})


def test_what_no_sines_are_made_of_is_refused():
    theta, p = rotary.frequencies(8), torch.arange(5)
    for bad in (torch.ones(2, 4), torch.tensor(1.0), torch.ones(4, dtype=torch.bfloat16)):
        with pytest.raises(ValueError, match=r"^frequencies must "):
            rotary.cos_sin(p, bad)
    with pytest.raises(ValueError, match=r"^frequencies must be on the device cpu, got meta"):
        rotary.cos_sin(p, theta.to("meta"))
    for bad in (p.bfloat16(), p.bool(), torch.tensor(3), [0, 1]):
        with pytest.raises(ValueError, match=r"^positions must "):
            rotary.cos_sin(bad, theta)
    with pytest.raises(ValueError, match=r"^dtype must be one of torch.float32, torch.float64"):
        rotary.cos_sin(p, theta, dtype=torch.bfloat16)
    with pytest.raises(ValueError, match=r"^layout must be"):
        rotary.rotate(normal(5, 8), *rotary.cos_sin(p, theta), layout="neox")
