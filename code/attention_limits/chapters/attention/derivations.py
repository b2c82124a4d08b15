"""Why attention has the form that it has. Taught in: "Attention".

The page argues for any number of keys and any width; what is proven here, symbol by symbol, are
three of each.
"""

import sympy as sp

from attention_limits.derivation import Derivation, Step
from attention_limits.formula import Formula
from attention_limits.symbols import (
    Z,
    a,
    d,
    dot,
    gap_sq,
    j,
    k,
    k_sq,
    l,
    m,
    p,
    p_soft,
    p_sparse,
    q,
    q_sq,
    s,
    tau,
    x,
)

# Look-up on a line: m keys in the middles of m equal pieces of [0, 1], each with one value.
POSITION = Formula((j + sp.Rational(1, 2)) / m, "", "position of key j")
VALUE = Formula(sp.sin(2 * sp.pi * POSITION.expr), "", "value of key j")
SCORE = Formula(-((x - POSITION.expr) ** 2) / 2, "", "score of key j")

_similarity = sp.exp(SCORE.expr / tau)
_total = sp.Sum(_similarity.subs(j, l), (l, 0, m - 1))
_mixed = sp.Sum((_similarity * VALUE.expr).subs(j, l), (l, 0, m - 1))

WEIGHT = Formula(_similarity / _total, "", "weight of key j")
OUTPUT = Formula(_mixed / _total, "", "output")


class Mean(sp.Function):
    """Expectation over independent query and key entries of mean 0 and variance 1.

    It knows nothing else of their distribution: the moments of order 0, 1 and 2 are 1, 0 and 1.
    """

    @property
    def free_symbols(self) -> set:
        """All but the entries, which are averaged over."""
        return self.args[0].free_symbols - {*q, *k}

    def doit(self, **hints: bool) -> sp.Expr:
        """Replace each entry's powers by its moments."""
        entries = sorted(self.args[0].free_symbols & {*q, *k}, key=str)
        terms = sp.Poly(self.args[0], entries).terms()
        return sp.Add(*(c * sp.Mul(*((1, 0, 1)[power] for power in powers)) for powers, c in terms))

    def _latex(self, printer, exp=None) -> str:
        return rf"\mathbb{{E}}\left[{printer._print(self.args[0])}\right]"


def softmax(scores: tuple[sp.Expr, ...], temperature: sp.Expr = 1) -> tuple[sp.Expr, ...]:
    """Weights proportional to the exponential of the scores."""
    similar = [sp.exp(score / temperature) for score in scores]
    return tuple(one / sum(similar) for one in similar)


def best_weights() -> Derivation:
    """Softmax is the best compromise between a high score and an open mind.

    Among all distributions p, it maximises ⟨p, s⟩ + τ·H(p), with H the entropy.
    """
    others = {weight: part / sum(a) for weight, part in zip(p, a, strict=True)}
    soft = {weight: sp.exp(score / tau) / Z for weight, score in zip(p_soft, s, strict=True)}

    def objective(weights: tuple[sp.Symbol, ...]) -> sp.Expr:
        return sum(w * score - tau * w * sp.log(w) for w, score in zip(weights, s, strict=True))

    divergence = sum(w * sp.log(w / soft) for w, soft in zip(p, p_soft, strict=True))
    return Derivation(
        Step(
            "What softmax achieves",
            objective(p_soft),
            tau * sp.log(Z),
            "Mean score plus $\\tau$ times entropy, at the softmax weights $\\hat p$.",
        ),
        Step(
            "What any other choice loses",
            tau * sp.log(Z) - objective(p),
            tau * divergence,
            "Exactly $\\tau$ times the Kullback–Leibler divergence of $p$ from $\\hat p$, which is "
            "never negative, and zero only for $p = \\hat p$.",
        ),
        where={**others, **soft, Z: sum(sp.exp(score / tau) for score in s)},
    )


def sparse_weights() -> Derivation:
    """With another entropy, the best weights are the nearest ones to the scores.

    Among all distributions p, sparsemax maximises ⟨p, s⟩ + τ·G(p), with G half of the Gini index.
    """
    others = {weight: part / sum(a) for weight, part in zip(p, a, strict=True)}
    shift = (1 - sum(score / tau for score in s)) / len(s)
    sparse = {weight: score / tau + shift for weight, score in zip(p_sparse, s, strict=True)}

    def objective(weights: tuple[sp.Symbol, ...]) -> sp.Expr:
        mean = sum(w * score for w, score in zip(weights, s, strict=True))
        return mean + tau * (1 - sum(w**2 for w in weights)) / 2

    nearness = sum((w - score / tau) ** 2 for w, score in zip(p, s, strict=True))
    constant = tau / 2 + sum(score**2 for score in s) / (2 * tau)
    return Derivation(
        Step(
            "Complete the square",
            objective(p),
            constant - tau * nearness / 2,
            "Only the last part depends on $p$: the nearer to $s/\\tau$, the better.",
        ),
        Step(
            "What any other choice loses",
            objective(p_sparse) - objective(p),
            tau * sum((w - best) ** 2 for w, best in zip(p, p_sparse, strict=True)) / 2,
            "A squared distance, where softmax has a divergence. Here no weight of $p^*$ is "
            "negative.",
        ),
        where={**others, **sparse},
    )


def dot_product_is_a_kernel() -> Derivation:
    """Softmax of inner products is Gaussian kernel smoothing, tilted towards long keys."""
    factors = (sp.exp(exponent / (2 * tau)) for exponent in (q_sq, k_sq, -gap_sq))
    return Derivation(
        Step(
            "Distance",
            gap_sq,
            q_sq + k_sq - 2 * dot,
            "The squared distance is both squared lengths, less twice the inner product; with "
            "three entries here, and with any number by the line above.",
        ),
        Step(
            "Tilted kernel",
            sp.exp(dot / tau),
            sp.Mul(*factors, evaluate=False),
            "So the weight of a key, up to normalisation, has three factors: a Gaussian kernel of "
            "the distance, one of the key's length, and one of the query's.",
        ),
        Step(
            "A common shift",
            softmax(tuple(one + x for one in s), tau)[0],
            softmax(s, tau)[0],
            "What all scores have in common cancels in the softmax: the query's factor always, the "
            "key's when all keys are equally long.",
        ),
        where={
            dot: sum(one * other for one, other in zip(q, k, strict=True)),
            q_sq: sum(one**2 for one in q),
            k_sq: sum(one**2 for one in k),
            gap_sq: sum((one - other) ** 2 for one, other in zip(q, k, strict=True)),
        },
    )


def variance_of_a_score() -> Derivation:
    """Why the scores are divided by √d: a sum of d unit-variance terms has variance d."""
    products = [one * other for one, other in zip(q, k, strict=True)]
    first, second, _ = products
    return Derivation(
        Step(
            "Mean",
            sp.Sum(Mean(first), (l, 1, d)),
            sp.Integer(0),
            "A score is a sum of $d$ products, each of mean zero; so its variance is the mean of "
            "its square.",
        ),
        Step(
            "One coordinate",
            Mean(first**2),
            sp.Integer(1),
            "All entries are independent, with mean 0 and variance 1.",
        ),
        Step(
            "Two coordinates",
            Mean(first * second),
            sp.Integer(0),
            "Different coordinates do not pull together.",
        ),
        Step(
            "All coordinates",
            sp.Sum(Mean(first**2), (l, 1, d)) + d * (d - 1) * Mean(first * second),
            d,
            "The square of a sum of $d$ terms has $d$ squares and $d(d-1)$ mixed products.",
        ),
        Step(
            "Three of them, written out",
            Mean(sum(products) ** 2),
            sp.Integer(3),
            "A check on the counting of the last step.",
        ),
        Step(
            "Scaled",
            sp.Sum(Mean((first / sp.sqrt(d)) ** 2), (l, 1, d)),
            sp.Integer(1),
            "Dividing the score by $\\sqrt d$ makes its variance one, at any width.",
        ),
    )


def mask_removes_a_key() -> Derivation:
    """A score of −∞ leaves the softmax over the other keys."""
    return Derivation(
        Step(
            "The masked key",
            sp.Limit(softmax(s)[2], s[2], -sp.oo),
            sp.Integer(0),
            "Its weight goes to zero.",
        ),
        Step(
            "The others",
            sp.Limit(softmax(s)[0], s[2], -sp.oo),
            softmax(s[:2])[0],
            "Theirs become what they would be, had the masked key never been there.",
        ),
    )
