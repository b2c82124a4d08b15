"""Evidence on what layers learn from how many examples: recorded runs, and one that runs here."""

from statistics import mean

from attention_limits.evidence import Evidence, evidence
from attention_limits.experiments import separation
from attention_limits.experiments.separation import (
    ABSOLUTE,
    ALIGNED,
    CONVOLUTION,
    EVERYWHERE,
    FULL,
    LEARNED,
    PATCHES,
    PLAIN,
    READ,
    RELATIVE,
    SHIFTED,
    SHUFFLED,
    UNSHARED,
    WIDE,
    WINDOW,
    Cell,
    local_start,
)
from attention_limits.runs import records

N = 64  # numbers on the ring


def right(layer: str, examples: int, condition: str = PLAIN, what: str = "accuracy") -> float:
    """How often a layer is right on new examples, the mean of the seeds."""
    return mean(
        separation.accuracies(records.load(separation), layer, examples, condition, what=what)
    )


def needed(layer: str, condition: str = PLAIN, n: int = N) -> float:
    """How many examples a layer needs; of one for which all were too few, the most there were."""
    run = records.load(separation)
    return separation.needed(run, layer, condition, n) or max(run.config["examples"])


def over_convolution(layer: str, condition: str = PLAIN, n: int = N) -> float:
    """How many times the examples of a convolution a layer needs under a condition."""
    return needed(layer, condition, n) / needed(CONVOLUTION, condition, n)


def _recorded(what: str) -> str:
    """What was recorded where, for the words of a piece of evidence."""
    run = records.load(separation)
    return (
        f"{run.stamp}: {what}; means of {len(run.config['seeds'])} seeds, each layer at its own "
        "rate"
    )


def _times_convolution(value: float, bound: float, what: str, relation: str = "<") -> Evidence:
    """How many times the examples of a convolution, against a bound."""
    return Evidence(
        value=value,
        expected=bound,
        tolerance=0,
        unit="× the examples of a convolution",
        how=_recorded(f"{what}; {READ:.0%} right"),
        relation=relation,
    )


def _gap(
    value: float, bound: float, what: str, than: str = "a convolution", relation: str = ">"
) -> Evidence:
    """How much less often a layer is right than another, against a bound."""
    return Evidence(
        value=value,
        expected=bound,
        tolerance=0,
        unit=f"less often right than {than}",
        how=_recorded(what),
        relation=relation,
    )


# --- trained here -------------------------------------------------------------------------------


def _trained_here(layer: str, condition: str, steps: int) -> Evidence:
    """How often a layer is right that learns from 32 examples on a ring of 32."""
    config = separation.Config(steps=steps, count=1_000)
    found = separation.learn(Cell(layer, condition, "32"), config, 32, [0.1, 0.1], (0, 1))
    return Evidence(
        value=min(found.accuracy),
        expected=READ,
        tolerance=0.03,
        unit="right on new examples",
        how=f"trained here, n = 32, 32 examples, {steps} steps at a rate of 0.1; the worse of two "
        "seeds; margin: three standard errors",
        relation=">",
    )


@evidence(
    rivals={
        "a kernel for each place": dict(layer=UNSHARED),
        "a fully connected layer": dict(layer=FULL),
        "attention with absolute scores": dict(layer=ABSOLUTE),
    }
)
def a_convolution_learns_from_32_examples(layer: str = CONVOLUTION) -> Evidence:
    """How often it is right on new examples; the worse of two seeds."""
    return _trained_here(layer, PLAIN, steps=200)


# --- recorded -----------------------------------------------------------------------------------


@evidence(
    rivals={
        "a wide kernel": dict(layer=WIDE),
        "attention with relative scores": dict(layer=RELATIVE),
        "attention with relative scores, in a window": dict(layer=WINDOW),
    }
)
def a_kernel_for_each_place_needs_its_own_examples(layer: str = UNSHARED) -> Evidence:
    """How many times the examples of a convolution it needs, over n; of all lengths the least."""
    lengths = records.load(separation).config["lengths"]
    shares = [over_convolution(layer, n=n) / n for n in lengths]
    return Evidence(
        value=min(shares),
        expected=0.25,
        tolerance=0,
        unit="n times the examples of a convolution",
        how=_recorded(f"n = {', '.join(map(str, lengths))}, the least; {READ:.0%} right"),
        relation=">",
    )


@evidence(
    rivals={
        "absolute scores": dict(layer=ABSOLUTE),
        "learned positions": dict(layer=LEARNED),
        "a kernel for each place": dict(layer=UNSHARED),
    }
)
def attention_that_shares_needs_hardly_more(layer: str = RELATIVE) -> Evidence:
    """Examples that attention needs whose scores are relative and alike at first."""
    return _times_convolution(over_convolution(layer), 2, f"n = {N}")


@evidence(
    rivals={
        "scores that learn at a hundredth of the rate": dict(pace=0.01),
        "relative scores": dict(kind=RELATIVE),
    }
)
def absolute_scores_leave_a_local_start(kind: str = ABSOLUTE, pace: float = 1.0) -> Evidence:
    """The same with absolute scores that begin as local as a convolution, at α = 1."""
    times = over_convolution(local_start(kind, 1.0, pace))
    return _times_convolution(times, 10, f"n = {N}, α = 1", relation=">")


KERNELS = (CONVOLUTION, WIDE, UNSHARED, FULL)


@evidence(
    rivals={
        "examples that stay where they are": dict(condition=PLAIN),
        "attention with absolute scores": dict(layers=(ABSOLUTE, LEARNED)),
    }
)
def shown_everywhere_kernels_learn_alike(
    layers: tuple[str, ...] = KERNELS, condition: str = SHIFTED
) -> Evidence:
    """The most that any layer needs, if each example is moved to other places in each step."""
    each = {layer: over_convolution(layer, condition) for layer in layers}
    most = max(each, key=lambda layer: each[layer])
    what = f"n = {N}, {len(each)} layers of weights; the most: {most}"
    return _times_convolution(each[most], 4, what)


@evidence(
    rivals={
        "scores that are alike at first": dict(sharpness=None),
        "examples that stay where they are": dict(condition=PLAIN),
    }
)
def absolute_scores_need_both(sharpness: float | None = 0.1, condition: str = SHIFTED) -> Evidence:
    """How often they are right with a local start and shifted examples; the worse of two seeds."""
    layer = ABSOLUTE if sharpness is None else local_start(ABSOLUTE, sharpness)
    return _trained_here(layer, condition, steps=300)


@evidence(
    rivals={
        "numbers in their own order": dict(condition=PLAIN),
        "a layer that has no order, fully connected": dict(layer=FULL),
    }
)
def a_wrong_prior_costs_more_than_none(
    layer: str = CONVOLUTION, condition: str = SHUFFLED
) -> Evidence:
    """How much less often a layer is right than a fully connected one, all numbers shuffled."""

    def last(name: str) -> float:
        return mean(list(separation.curve(records.load(separation), name, condition).values())[-1])

    what = f"n = {N}, from as many examples as were tried, all numbers in another order"
    return _gap(last(FULL) - last(layer), 0.1, what, "a fully connected layer")


@evidence(
    rivals={
        "attention with relative scores": dict(layer=RELATIVE),
        "a wide kernel": dict(layer=WIDE),
    }
)
def at_the_same_loss_the_gap_is_there(layer: str = ABSOLUTE, examples: int = 32) -> Evidence:
    """How much less often a layer is right than a convolution when both reach the same loss."""
    convolution, own = (right(name, examples, what="matched") for name in (CONVOLUTION, layer))
    what = f"n = {N}, {examples} examples, when the training loss has fallen to .1"
    return _gap(convolution - own, 0.3, what)


@evidence(
    rivals={
        "patterns that patches cut": dict(condition=PLAIN),
        "absolute scores": dict(layer=ABSOLUTE),
        "learned positions": dict(layer=LEARNED),
    }
)
def among_patches_attention_loses_nothing(
    layer: str = PATCHES, condition: str = ALIGNED, examples: int = 8
) -> Evidence:
    """How much less often it is right than a convolution, patterns beginning where patches do."""
    convolution, own = (right(name, examples, condition) for name in (CONVOLUTION, layer))
    what = f"n = {N}, patches of 8, {examples} examples"
    return _gap(convolution - own, 0.1, what, relation="<")


@evidence(rivals={"patches side by side": dict(layer=PATCHES)})
def overlapping_patches_need_no_alignment(layer: str = EVERYWHERE) -> Evidence:
    """The same with a patch at each place, patterns beginning anywhere."""
    what = f"n = {N}, patches of 8 that overlap, as a convolutional stem makes them"
    return _times_convolution(over_convolution(layer), 1.5, what)
