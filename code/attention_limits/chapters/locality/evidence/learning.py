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


def needed(layer: str, condition: str = PLAIN, n: int = N) -> float:
    """How many examples a layer needs; of one for which all were too few, the most there were."""
    run = records.load(separation)
    return separation.needed(run, layer, condition, n) or max(run.config["examples"])


def over_convolution(layer: str, condition: str = PLAIN, n: int = N) -> float:
    """How many times the examples of a convolution a layer needs under a condition."""
    return needed(layer, condition, n) / needed(CONVOLUTION, condition, n)


def _where(what: str) -> str:
    """What was recorded where, for the words of a piece of evidence."""
    run = records.load(separation)
    return (
        f"{run.stamp}: {what}; {READ:.0%} right, means of {len(run.config['seeds'])} seeds, each "
        "layer at its own rate"
    )


# --- run here -----------------------------------------------------------------------------------


@evidence(
    rivals={
        "a kernel for each place": dict(layer=UNSHARED),
        "a fully connected layer": dict(layer=FULL),
        "attention with absolute scores": dict(layer=ABSOLUTE),
    }
)
def a_convolution_learns_from_32_examples(layer: str = CONVOLUTION) -> Evidence:
    """How often it is right on new examples; the worse of two seeds."""
    config = separation.Config(steps=200, count=1_000)
    found = separation.learn(Cell(layer, PLAIN, "32"), config, 32, [0.1, 0.1], (0, 1))
    return Evidence(
        value=min(found.accuracy),
        expected=READ,
        tolerance=0.03,
        unit="right on new examples",
        how="trained here, n = 32, 200 steps at a rate of 0.1; the worse of two seeds; margin: "
        "three standard errors",
        relation=">",
    )


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
        how=_where(f"n = {', '.join(map(str, lengths))}, the least"),
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
    return Evidence(
        value=over_convolution(layer),
        expected=2,
        tolerance=0,
        unit="× the examples of a convolution",
        how=_where(f"n = {N}"),
        relation="<",
    )


@evidence(
    rivals={
        "scores that learn at a hundredth of the rate": dict(pace=0.01),
        "relative scores": dict(kind=RELATIVE),
    }
)
def absolute_scores_leave_a_local_start(kind: str = ABSOLUTE, pace: float = 1.0) -> Evidence:
    """The same with absolute scores that begin as local as a convolution, at α = 1."""
    return Evidence(
        value=over_convolution(local_start(kind, 1.0, pace)),
        expected=10,
        tolerance=0,
        unit="× the examples of a convolution",
        how=_where(f"n = {N}, α = 1"),
        relation=">",
    )


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
    return Evidence(
        value=each[most],
        expected=4,
        tolerance=0,
        unit="× the examples of a convolution",
        how=_where(f"n = {N}, {len(each)} layers of weights; the most: {most}"),
        relation="<",
    )


@evidence(
    rivals={
        "scores that are alike at first": dict(sharpness=None),
        "examples that stay where they are": dict(condition=PLAIN),
    }
)
def absolute_scores_need_both(sharpness: float | None = 0.1, condition: str = SHIFTED) -> Evidence:
    """How often they are right with a local start and shifted examples; the worse of two seeds."""
    layer = ABSOLUTE if sharpness is None else local_start(ABSOLUTE, sharpness)
    config = separation.Config(steps=300, count=1_000)
    found = separation.learn(Cell(layer, condition, "32"), config, 32, [0.1, 0.1], (0, 1))
    return Evidence(
        value=min(found.accuracy),
        expected=READ,
        tolerance=0.03,
        unit="right on new examples",
        how="trained here, n = 32, 32 examples, α = .1, 300 steps at a rate of 0.1; the worse of "
        "two seeds; margin: three standard errors",
        relation=">",
    )


@evidence(
    rivals={
        "numbers in their own order": dict(condition=PLAIN),
        "a layer that has no order, fully connected": dict(layer=FULL),
    }
)
def a_wrong_prior_costs_more_than_none(
    layer: str = CONVOLUTION, condition: str = SHUFFLED
) -> Evidence:
    """How often a layer is right less how often a fully connected one is, numbers shuffled."""
    run = records.load(separation)
    most = max(run.config["examples"])

    def last(name: str) -> float:
        return mean(list(separation.curve(run, name, condition).values())[-1])

    return Evidence(
        value=last(layer) - last(FULL),
        expected=-0.1,
        tolerance=0,
        unit="more often right than a fully connected layer",
        how=f"{run.stamp}: n = {N}, up to {most:,} examples, all numbers in another order; means "
        f"of {len(run.config['seeds'])} seeds",
        relation="<",
    )


@evidence(
    rivals={
        "attention with relative scores": dict(layer=RELATIVE),
        "a wide kernel": dict(layer=WIDE),
    }
)
def at_the_same_loss_the_gap_is_there(layer: str = ABSOLUTE, examples: int = 32) -> Evidence:
    """How much less often a layer is right than a convolution when both reach the same loss."""
    run = records.load(separation)

    def at_loss(name: str) -> float:
        return mean(separation.accuracies(run, name, examples, what="matched"))

    return Evidence(
        value=at_loss(CONVOLUTION) - at_loss(layer),
        expected=0.3,
        tolerance=0,
        unit="less often right than a convolution",
        how=f"{run.stamp}: n = {N}, {examples} examples, when the training loss has fallen to .1; "
        f"means of {len(run.config['seeds'])} seeds",
        relation=">",
    )


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
    run = records.load(separation)
    convolution, own = (
        mean(separation.accuracies(run, name, examples, condition)) for name in (CONVOLUTION, layer)
    )
    return Evidence(
        value=convolution - own,
        expected=0.1,
        tolerance=0,
        unit="less often right than a convolution",
        how=f"{run.stamp}: n = {N}, patches of 8, {examples} examples, means of "
        f"{len(run.config['seeds'])} seeds",
        relation="<",
    )


@evidence(rivals={"patches side by side": dict(layer=PATCHES)})
def overlapping_patches_need_no_alignment(layer: str = EVERYWHERE) -> Evidence:
    """The same with a patch at each place, patterns beginning anywhere."""
    return Evidence(
        value=over_convolution(layer),
        expected=1.5,
        tolerance=0,
        unit="× the examples of a convolution",
        how=_where(f"n = {N}, patches of 8 that overlap, as a convolutional stem makes them"),
        relation="<",
    )
