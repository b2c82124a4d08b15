"""Every model, held to what attention_limits/models/__init__.py promises."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from helpers.kinds import UNFIT
from helpers.small_models import CASES, CLASSES, SEEDS, VOCABULARY, N, built, sequences, small
from helpers.tables import assert_rows_for
from torch.utils._pytree import tree_leaves

from attention_limits import models
from attention_limits.attention import MECHANISMS
from attention_limits.baselines import convolution
from attention_limits.models import Architecture
from attention_limits.models.architecture import NO_OPTIONS
from attention_limits.models.encodings import ENCODINGS
from attention_limits.models.options import CHECKS, options_of
from attention_limits.positions import POSITIONS, lstm_generated

cases = pytest.mark.parametrize("architecture", CASES.values(), ids=CASES)

RELATIVE = ("rotary", "alibi", "relative_bias", "shaw")
UNPLACED = ("lstm_generated",)  # encodings that no positions can be given to


def some(*names):
    chosen = {name: CASES[name] for name in names}
    return pytest.mark.parametrize("architecture", chosen.values(), ids=chosen)


def changed(before, after):
    """By how much logits differ: the largest of each token, over sequences and classes."""
    return (after - before).abs().amax((0, 1, 3))


def assert_equal(actual, expected, *, within=1e-11):
    torch.testing.assert_close(actual, expected, atol=within, rtol=within)


def test_every_mechanism_and_every_position_is_among_the_cases():
    tried = {architecture.mechanism for architecture in CASES.values()}
    assert_rows_for(MECHANISMS, {"MECHANISMS in tests/helpers/small_models.py": tried})
    assert_rows_for(POSITIONS, {"ENCODINGS in models/encodings/__init__.py": ENCODINGS})


# Side by side as alone


def gradients_of_weights(model, logits):
    """Of a sum in which each logit has a weight of its own, those of all sequences alike."""
    generator = torch.Generator().manual_seed(0)
    share = torch.randn(logits.shape[1:], generator=generator, dtype=logits.dtype)
    return torch.autograd.grad((share * logits).sum(), list(model.parameters()))


@cases
def test_first_weights_are_those_of_each_seed_alone(architecture):
    sizes = dict(vocabulary=VOCABULARY, classes=CLASSES)
    together = models.build(architecture, **sizes, seeds=SEEDS).state_dict()
    for number, seed in enumerate(SEEDS):
        alone = models.build(architecture, **sizes, seeds=(seed,))
        for name, weights in alone.named_parameters():
            assert torch.equal(weights[0], together[name][number]), name


@cases
def test_logits_and_gradients_are_those_of_each_seed_alone(architecture):
    together = built(architecture)
    tokens, where = sequences(architecture)
    logits = together(tokens, **where)
    assert logits.shape == (len(SEEDS), *tokens.shape[1:], CLASSES)
    slopes = gradients_of_weights(together, logits)
    for number, seed in enumerate(SEEDS):
        alone = built(architecture, (seed,))
        tokens, where = sequences(architecture, (seed,))
        own = alone(tokens, **where)
        assert_equal(logits[number], own[0])
        for one, all_of_them in zip(gradients_of_weights(alone, own), slopes, strict=True):
            assert_equal(all_of_them[number], one[0])


@cases
def test_seeds_do_not_feel_each_other(architecture):
    """Not by rounding either: a seed in trouble, NaN say, must leave the others as they are."""
    model = built(architecture)
    tokens, where = sequences(architecture)
    before = model(tokens, **where)
    for slope in torch.autograd.grad(before[1].sum(), list(model.parameters()), allow_unused=True):
        assert slope is None or not slope[[0, 2]].any()
    other = tokens.clone()
    other[1] = (tokens[1] + 1) % VOCABULARY
    after = model(other, **where)
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert (before[1] - after[1]).abs().max() > 1e-3
    with torch.no_grad():
        for weights in model.parameters():
            weights[1] = torch.nan
    after = model(tokens, **where)
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert after[1].isnan().all()


@cases
def test_every_weight_counts(architecture):
    """One without a gradient would be decayed, counted and recorded for nothing."""
    model = built(architecture)
    tokens, where = sequences(architecture)
    slopes = gradients_of_weights(model, model(tokens, **where))
    for (name, _), slope in zip(model.named_parameters(), slopes, strict=True):
        assert slope.flatten(1).abs().amax(1).min() > 1e-8, name


@pytest.mark.parametrize("shape", [(2, N), (3, N), (2, 4, N), (1, 4, N), (3, 2, 2, N)])
@some("dense", "gru", "convolution")
def test_tokens_of_another_shape_are_refused(architecture, shape):
    """Broadcasting would take most of them, and answer for sequences that nobody gave."""
    with pytest.raises(ValueError, match=r"^tokens must"):
        built(architecture)(torch.zeros(shape, dtype=torch.long))


# Who sees whom


@cases
def test_what_comes_later_changes_nothing_just_if_causal(architecture):
    model, t = built(architecture), N - 4
    tokens, where = sequences(architecture)
    before = model(tokens, **where)
    tokens[..., t] = (tokens[..., t] + 1) % VOCABULARY
    difference = changed(before, model(tokens, **where))
    if architecture.causal:
        assert difference[:t].max() < 1e-12
    else:
        assert difference[:t].max() > 1e-3
    assert difference[t] > 1e-3


# Where tokens stand


def placed(model, tokens, positions):
    return model(tokens, positions=positions.expand(tokens.shape))


TAKE_POSITIONS = {n: a for n, a in CASES.items() if a.position not in (*UNPLACED, "time_aware")}
placeable = pytest.mark.parametrize("architecture", TAKE_POSITIONS.values(), ids=TAKE_POSITIONS)


@placeable
def test_without_positions_tokens_stand_at_0_1_and_so_on(architecture):
    model, (tokens, _) = built(architecture), sequences(architecture)
    assert_equal(placed(model, tokens, torch.arange(N)), model(tokens))


@placeable
def test_positions_are_heard_by_who_has_an_ear_for_them(architecture):
    """What is relative does not hear a shift; none at all, neither that nor a stretch.

    What comes between a rotation and the inner product makes it less than relative.
    """
    model, (tokens, _) = built(architecture), sequences(architecture)
    before = model(tokens)
    shifted = placed(model, tokens, torch.arange(N) + 5)
    stretched = placed(model, tokens, 3 * torch.arange(N))
    between = architecture.mechanism == "linear" or "per_channel" in architecture.options
    if architecture.position in (*RELATIVE, "none") and not between:
        assert changed(before, shifted).max() < 1e-10
    else:
        assert changed(before, shifted)[1:].min() > 1e-3
    if architecture.position == "none":
        assert torch.equal(before, stretched)
    elif architecture.mechanism != "clock":  # whose first ticks may see but one key
        assert changed(before, stretched)[-1] > 1e-4


@some("position sinusoidal", "position learned", *(f"position {name}" for name in RELATIVE))
def test_each_text_has_positions_of_its_own(architecture):
    model, (tokens, _) = built(architecture), sequences(architecture)
    positions = torch.arange(N).expand(tokens.shape).clone()
    before = model(tokens)
    positions[1, 0] *= 3
    difference = (placed(model, tokens, positions) - before).abs().amax((2, 3))
    assert difference[1, 0] > 1e-3
    difference[1, 0] = 0
    assert difference.max() < 1e-12


def test_far_positions_are_as_exact_as_near_ones():
    """In float32, the angles of rotary positions around 10⁶ would be wrong by some per cent."""
    architecture = CASES["position rotary"]
    model, (tokens, _) = built(architecture, dtype=torch.float32), sequences(architecture)
    far = placed(model, tokens, torch.arange(N) + 10**6)
    assert changed(model(tokens), far).max() < 1e-4


@some(*(f"position {name}" for name in UNPLACED))
def test_positions_that_cannot_be_heard_are_refused(architecture):
    model, (tokens, _) = built(architecture), sequences(architecture)
    with pytest.raises(ValueError, match=r"^positions must be None"):
        placed(model, tokens, torch.arange(N))


@pytest.mark.parametrize("periods", [None, (0.5, 8.0)], ids=["unturned", "turned"])
def test_times_are_heard_as_differences(periods):
    options = {"periods": periods, "knots": (0.5, 2.0)}
    architecture = small(position="time_aware", position_options=options)
    model, (tokens, where) = built(architecture), sequences(architecture)
    before = model(tokens, **where)
    assert changed(before, model(tokens, times=where["times"] + 1000)).max() < 1e-9
    assert changed(before, model(tokens, times=2 * where["times"]))[1:].min() > 1e-3


def test_a_time_aware_model_wants_times():
    architecture = CASES["position time_aware"]
    with pytest.raises(ValueError, match=r"^times must be given"):
        built(architecture)(sequences(architecture)[0])


@some("rnn", "gru", "lstm", "convolution", "dense", "position none")
def test_times_are_no_business_of_the_others(architecture):
    """Tasks in real time give them to every model."""
    model, (tokens, _) = built(architecture), sequences(architecture)
    assert torch.equal(model(tokens), model(tokens, times=torch.rand(tokens.shape)))


# Devices and precision


@cases
def test_runs_on_the_meta_device(architecture):
    """A tensor that a model forgets to bring along stays on the CPU, and is found here."""
    tokens, where = sequences(architecture)
    tokens, where = tokens.to("meta"), {name: x.to("meta") for name, x in where.items()}
    sizes = dict(vocabulary=VOCABULARY, classes=CLASSES, seeds=SEEDS)
    moved = models.build(architecture, **sizes).to("meta")
    with torch.device("meta"):
        born = models.build(architecture, **sizes)
    for model in (moved, born):
        assert all(x.is_meta for x in model.state_dict().values())
        logits = model(tokens, **where)
        assert logits.is_meta
        assert logits.shape == (*tokens.shape, CLASSES)
        logits.sum().backward()


@pytest.mark.cuda
@cases
def test_a_gpu_computes_the_same(architecture):
    model = built(architecture)
    tokens, where = sequences(architecture)
    expected = model(tokens, **where)
    where = {name: x.cuda() for name, x in where.items()}
    assert_equal(model.cuda()(tokens.cuda(), **where).cpu(), expected, within=1e-6)


@pytest.mark.parametrize("empty", ["sequences", "tokens", "both"])
@cases
def test_of_nothing_there_are_no_logits_and_zero_gradients(architecture, empty):
    """The last batch of an epoch was empty, and a shape could not be inferred."""
    count, n = (0 if empty in (axis, "both") else N for axis in ("sequences", "tokens"))
    if architecture.mechanism == "block_sparse":  # its layout is of as many tokens, no fewer
        count, n = 0, N
    model, (tokens, where) = built(architecture), sequences(architecture)
    cut = [x[:, :count, :n] for x in (tokens, *where.values())]
    logits = model(cut[0], **dict(zip(where, cut[1:], strict=True)))
    assert logits.shape == (*cut[0].shape, CLASSES)
    weights = list(model.parameters())
    grads = torch.autograd.grad(logits.sum(), weights, allow_unused=True, materialize_grads=True)
    assert not any(gradient.any() for gradient in grads)


@cases
def test_runs_in_bfloat16(architecture):
    """As training has it: weights in float32, products in bfloat16, forth and back."""
    model = built(architecture, dtype=torch.float32)
    tokens, where = sequences(architecture)
    exact = model(tokens, **where)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(tokens, **where)
    assert 0 < (logits.float() - exact).abs().max() < 0.1 * exact.abs().max()
    for slope in gradients_of_weights(model, logits.float()):
        assert slope.dtype == torch.float32
        assert slope.isfinite().all()


# Sizes

D, L, V, C = 8, 2, VOCABULARY, CLASSES
BLOCKS = L * (4 * D**2 + 8 * D**2 + 4 * D + D)  # attention, MLP and its two biases
ENDS = V * D + (D * C + C)
PARAMETERS = {
    "dense": ENDS + BLOCKS + L * 2 * (2 * D) + 2 * D,
    "post": ENDS + BLOCKS + L * 2 * (2 * D),
    "no norms": ENDS + BLOCKS,
    "no MLP": ENDS + L * (4 * D**2 + 2 * D) + 2 * D,
    "rnn": ENDS + L * (2 * D**2 + 2 * D),
    "gru": ENDS + L * 3 * (2 * D**2 + 2 * D),
    "lstm": ENDS + L * 4 * (2 * D**2 + 2 * D),
    "convolution": ENDS + L * (3 * D**2 + D + 2 * D) + 2 * D,
}
ON_TOP = {  # of "dense"
    "qk_norm": L * 2,
    "delta_rule": L * 2 * (D + 1),
    "gated_linear": L * 2 * (D + 1),
    "gated_linear, per channel": L * D * (D + 1),
    "gated_delta_rule": L * 2 * 2 * (D + 1),
    "position none": 0,
    "position sinusoidal": 0,
    "position learned": 40 * D,
    "position alibi": 0,
    "position relative_bias": 2 * 8,
    "position shaw": L * (2 * 3 + 1) * (D // 2),
    "position time_aware": 2 + 2 * 2,
    "position lstm_generated": 4 * 6 * (D + 6) + 4 * 6 + 6 * D,
}
PARAMETERS |= {name: PARAMETERS["dense"] + more for name, more in ON_TOP.items()}


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("seeds", [(0,), SEEDS])
def test_parameters_are_counted_of_one_model(name, seeds):
    assert models.parameters(built(CASES[name], seeds)) == PARAMETERS[name]


def bytes_of(state):
    """Of all tensors in it, which must not be views of larger ones."""
    tensors = [x for x in tree_leaves(state) if isinstance(x, torch.Tensor)]
    return sum(x.numel() * x.element_size() for x in tensors)


STREAMS = {
    name: a
    for name, a in CASES.items()
    if a.kind == "transformer" and a.causal and hasattr(a.attention, "step")
}


@pytest.mark.parametrize("n", [1, 3, 37])
@pytest.mark.parametrize("architecture", STREAMS.values(), ids=STREAMS)
def test_state_bytes_are_those_that_a_stream_of_tokens_holds(architecture, n):
    heads, d = architecture.heads, architecture.d_model // architecture.heads
    tokens = [torch.rand(heads, n, d) for _ in range(3)]
    per_channel = architecture.options.get("per_channel", False)
    widths = {"log_decay": d if per_channel else 1, "beta": 1}
    tokens += [-torch.rand(heads, n, widths[name]) for name in architecture.gates]
    state = None
    for t in range(n):
        now = [x[:, t : t + 1] for x in tokens]
        _, state = architecture.attention.step(state, *now, **architecture.fitting("step"))
    expected = architecture.layers * bytes_of(state)
    if architecture.position == "lstm_generated":
        one = (
            torch.rand(1, 8),
            torch.rand(24, 8),
            torch.rand(24, 6),
            torch.rand(24),
            torch.rand(8, 6),
        )
        expected += bytes_of(lstm_generated.step(None, *one)[1])
    assert models.state_bytes(architecture, n) == expected


@some("online_softmax", "block_sparse")
def test_what_has_no_stream_of_its_own_holds_all_keys_and_values(architecture):
    assert models.state_bytes(architecture, 12) == models.state_bytes(CASES["dense"], 12)


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_state_bytes_of_a_recurrent_network_are_those_of_its_states(kind):
    peer = getattr(torch.nn, kind.upper())(8, 8, num_layers=2)
    _, state = peer(torch.rand(37, 8))
    for causal in (True, False):
        architecture = replace(CASES[kind], causal=causal)
        assert models.state_bytes(architecture, 37) == bytes_of(state)


def test_state_bytes_of_a_convolution_are_those_of_the_inputs_that_it_sees_again():
    architecture = small(kind="convolution", width=4, layers=3)
    x, kernel = torch.rand(37, 8), torch.rand(4, 8, 8)
    states = [convolution.step(None, x, kernel, dilation=2**level)[1] for level in range(3)]
    assert models.state_bytes(architecture, 37) == bytes_of(states)


def test_state_bytes_depend_on_the_width_of_a_number():
    dense, gated = CASES["dense"], CASES["gated_linear"]
    assert models.state_bytes(dense, 5, bytes_a_number=2) == models.state_bytes(dense, 5) / 2
    # Which is summed in float32, whatever the weights are in.
    assert models.state_bytes(gated, 5, bytes_a_number=2) == models.state_bytes(gated, 5)


@some("not causal", "convolution, not causal")
def test_who_sees_what_is_to_come_knows_no_stream(architecture):
    with pytest.raises(ValueError, match=r"^architecture must be causal"):
        models.state_bytes(architecture, 5)


# Architectures as values


@cases
def test_an_architecture_survives_json(architecture):
    """Records are JSON, where tuples are lists, and arrays are not at all."""
    again = Architecture(**json.loads(json.dumps(asdict(architecture))))
    assert again == architecture
    assert hash(again) == hash(architecture)
    assert again.fitting("cost").keys() == architecture.fitting("cost").keys()


def test_architectures_are_keys_by_all_that_they_are():
    assert len({architecture: name for name, architecture in CASES.items()}) == len(
        {repr(architecture) for architecture in CASES.values()}
    )
    one = small(options={"log_n": 0.4, "sink": 0.5})
    other = small(options={"sink": 0.5, "log_n": 0.4})
    assert one == other
    assert hash(one) == hash(other)


def test_an_architecture_does_not_change_with_the_dictionary_that_it_was_made_of():
    options = {"offsets": [0, 1]}
    architecture = small(mechanism="offsets", options=options)
    options["offsets"].append(2)
    options["scale"] = 2.0
    assert architecture.options == {"offsets": (0, 1)}


REFUSED = {
    "kind": (dict(kind="mlp"), "kind must be one of"),
    "norm": (dict(norm="both"), "norm must be one of"),
    "mechanism": (dict(mechanism="sparse"), "mechanism must be one of"),
    "position": (dict(position="absolute"), "position must be one of"),
    "heads none": (dict(heads=0), "heads must be an integer of at least 1"),
    "d_model no integer": (dict(d_model=8.0), "d_model must be an integer"),
    "layers": (dict(layers=0), "layers must be an integer of at least 1"),
    "width": (dict(width=True), "width must be an integer"),
    "mlp": (dict(mlp=-1), "mlp must be an integer of at least 0"),
    "heads that do not divide": (dict(heads=3), "heads must divide d_model = 8"),
    "no mapping": (dict(options=("window", 4)), "options must be a mapping"),
    "unknown option": (dict(options={"window": 4}), "options must be among those of dense"),
    "of the model": (dict(options={"mask": None}), "options must be among those of dense"),
    "of the field": (dict(options={"causal": False}), "options must be among those of dense"),
    "learned scale": (
        dict(qk_norm=True, options={"scale": 2.0}),
        "options must be among those of dense, log_n, sink, got 'scale'",
    ),
    "missing": (dict(mechanism="sliding_window"), "options must say window"),
    "value of an option": (
        dict(mechanism="sliding_window", options={"window": 0}),
        "window must be an integer of at least 1",
    ),
    "kind of an option": (dict(options={"log_n": "1"}), "log_n must be a finite number"),
    "switch": (
        dict(mechanism="fractal", options={"covariance": "yes"}),
        "covariance must be one of False, True",
    ),
    "block": (dict(mechanism="online_softmax", options={"block": 0}), "block must be"),
    "scale": (dict(mechanism="clock", options={"period": 2, "scale": "1"}), "scale must be"),
    "choice": (dict(mechanism="linear", options={"feature_map": "exp"}), "feature_map must be"),
    "ahead": (
        dict(mechanism="offsets", options={"offsets": (-1, 0)}),
        "offsets must be at least 0",
    ),
    "periods": (dict(mechanism="clock", options={"period": (1, 2, 3)}), "period must be one"),
    "layout": (
        dict(mechanism="block_sparse", options={"layout": [[1, 0], [1, 1]], "block": 2}),
        "layout must be a NumPy array of booleans",
    ),
    "unknown option of a position": (
        dict(position="alibi", position_options={"slopes": 1}),
        "position_options must be among those of alibi, none, got 'slopes'",
    ),
    "base": (dict(position="rotary", position_options={"base": 0.5}), "base must be"),
    "frequencies": (
        dict(position="rotary", position_options={"frequencies": (1.0,)}),
        "frequencies must be",
    ),
    "frequencies at inputs": (
        dict(position="sinusoidal", position_options={"frequencies": (1.0,)}),
        "frequencies must be",
    ),
    "deviation": (
        dict(position="learned", position_options={"deviation": -1.0}),
        "deviation must be",
    ),
    "factor": (dict(position="rotary", position_options={"factor": 0.5}), "factor must be"),
    "n_max": (dict(position="learned", position_options={"n_max": 0}), "n_max must be"),
    "hidden": (dict(position="lstm_generated", position_options={"hidden": 0}), "hidden must be"),
    "max_distance of Shaw's": (
        dict(position="shaw", position_options={"max_distance": -1}),
        "max_distance must be",
    ),
    "buckets": (
        dict(position="relative_bias", position_options={"buckets": 7}, causal=False),
        "buckets must be even",
    ),
    "time periods": (
        dict(position="time_aware", position_options={"periods": (2.0, 1.0)}),
        "shortest must be",
    ),
    "knots": (dict(position="time_aware", position_options={"knots": ("1",)}), "knots must be"),
    "one period": (
        dict(position="time_aware", position_options={"periods": (2.0,)}),
        "periods must be a sequence of 2 finite numbers",
    ),
    "max_distance": (
        dict(position="relative_bias", position_options={"max_distance": 8}),
        "max_distance must be an integer of at least 17",
    ),
    "pairs of d_model": (dict(position="sinusoidal", d_model=9, heads=3), "d_model must be even"),
    "pairs of a head": (dict(position="rotary", d_model=6), "d_model / heads must be even"),
    "pairs that turn in time": (
        dict(position="time_aware", position_options={"periods": (1.0, 2.0)}, d_model=6),
        "d_model / heads must be even",
    ),
    "a bias elsewhere": (dict(mechanism="linear", position="alibi"), "position must suit"),
    "qk_norm elsewhere": (dict(mechanism="linear", qk_norm=True), "qk_norm must suit"),
    "always causal": (dict(mechanism="delta_rule", causal=False), "causal must be True"),
    "no centre": (dict(kind="convolution", width=2, causal=False), "width must span an odd"),
    "a GRU's position": (dict(kind="gru", position="rotary"), "position must be 'none'"),
    "a GRU's position_options": (
        dict(kind="gru", position_options={"base": 2.0}),
        "position_options must be {}",
    ),
    "a GRU's mechanism": (dict(kind="gru", mechanism="linear"), "mechanism must be 'dense'"),
    "a GRU's options": (dict(kind="gru", options={"window": 2}), "options must be {}"),
    "a GRU's qk_norm": (dict(kind="gru", qk_norm=True), "qk_norm must be False"),
}


@pytest.mark.parametrize(("fields", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_refused_at_once(fields, message):
    """By name, and before anything is built, let alone trained."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011 the message is compared below
        small(**fields)
    assert str(refused.value).startswith(message)


def test_an_architecture_is_a_value_and_builds_no_model(monkeypatch):
    """Each of those that modules hold ran a model when the module was imported."""
    monkeypatch.setattr(torch.nn.Module, "__init__", pytest.fail)
    for architecture in CASES.values():
        assert replace(architecture, layers=3).layers == 3


ON_THEIR_OWN = {"offsets", "period", "layout", "width", "shift"}  # in check_values


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_option_of_a_mechanism_is_checked_before_a_model_is_built(mechanism):
    """A new option without an entry in models.options.CHECKS was a KeyError, or let all pass."""
    architecture = next(a for a in CASES.values() if a.mechanism == mechanism)
    takes = options_of(architecture.attention.attend) | options_of(architecture.attention.cost)
    unchecked = takes.keys() - NO_OPTIONS - CHECKS.keys() - ON_THEIR_OWN
    assert not unchecked


@pytest.mark.parametrize("position", POSITIONS)
def test_every_option_of_an_encoding_is_checked_before_a_model_is_built(position):
    """A new option that `check` did not know was a TypeError for whoever used it."""
    encoding = ENCODINGS[position]
    assert options_of(encoding).keys() == options_of(encoding.check).keys()


@pytest.mark.parametrize("fields", [dict(d_model=9), dict(d_model=9, heads=4)])
def test_heads_are_of_transformers_only(fields):
    assert small(kind="gru", **fields).d_model == 9


def test_all_is_well_where_an_odd_width_needs_no_pairs():
    assert small(d_model=9, heads=3, position="time_aware").position == "time_aware"
    assert small(d_model=10, heads=2, position="sinusoidal").position == "sinusoidal"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vocabulary", 0),
        ("classes", 2.0),
        ("seeds", ()),
        ("seeds", (1, -1)),
        ("seeds", ("1",)),
    ],
)
def test_build_refuses_by_name(name, value):
    arguments = {"vocabulary": 4, "classes": 4, name: value}
    with pytest.raises(ValueError, match=f"^{name} must be"):
        models.build(small(), **arguments)


@pytest.mark.parametrize("kind", sorted(UNFIT.keys() - {"integers", "small integers"}))
@pytest.mark.parametrize("model", ["transformer", "gru", "convolution"])
def test_what_is_no_dense_tensor_of_tokens_is_refused(model, kind):
    """Logits handed on as tokens died in the look-up, in words about kernels."""
    network = models.build(small(kind=model), vocabulary=4, classes=4)
    with pytest.raises(ValueError, match=r"^tokens must be a dense tensor of integers.*, got "):
        network(UNFIT[kind](torch.ones(1, 2, 5)))


def test_state_bytes_refuses_by_name():
    with pytest.raises(ValueError, match=r"^n must be"):
        models.state_bytes(small(), -1)
