"""The book's notation, in one place: every symbol with its meaning and its unit.

No other module calls ``sympy.Symbol``. Two symbols of one name but different assumptions are
different to SymPy and print alike, which is the quietest way for a derivation to go wrong.
"""

from dataclasses import dataclass

import sympy as sp


@dataclass(frozen=True)
class Meaning:
    """What a symbol stands for, in words that fit a slider's label, its unit and its TeX.

    ``page`` is the one that introduces it.
    """

    words: str
    unit: str = ""
    tex: str = ""
    page: str = ""


MEANING: dict[sp.Symbol, Meaning] = {}

# The table of notation: under each heading its rows, a vector being one of them.
TABLE: dict[str, list[Meaning]] = {}


_page = ""  # which page introduces what is made below


def _section(heading: str, page: str) -> None:
    """Begin a part of the table: what is made below stands in it."""
    TABLE[heading] = []
    _on(page)


def _on(page: str) -> None:
    """Name the page that introduces what is made below."""
    global _page
    _page = f"chapters/{page}"


# Sliders that choose from a list move these; no page writes them, and the table has no row of them.
CHOICES: list[sp.Symbol] = []


def _choice(name: str, words: str, **assumptions: bool) -> sp.Symbol:
    symbol = _made(name, words, "", "", **assumptions)
    CHOICES.append(symbol)
    return symbol


def _symbol(name: str, words: str, unit: str = "", tex: str = "", **assumptions: bool) -> sp.Symbol:
    symbol = _made(name, words, unit, tex, **assumptions)
    _row(words, unit, tex or sp.latex(symbol))
    return symbol


def _made(name: str, words: str, unit: str, tex: str, **assumptions: bool) -> sp.Symbol:
    symbol = sp.Symbol(name, **assumptions)
    MEANING[symbol] = Meaning(words, unit, tex)
    return symbol


def _row(words: str, unit: str, tex: str) -> None:
    [*_, rows] = TABLE.values()
    rows.append(Meaning(words, unit, tex, _page))


def _count(name: str, words: str, unit: str = "", tex: str = "") -> sp.Symbol:
    return _symbol(name, words, unit, tex, integer=True, positive=True)


def _vector(
    name: str, words: str, tex: str = "", *, entries: int = 3, **assumptions: bool
) -> tuple[sp.Symbol, ...]:
    """A few entries, which stand for any number in derivations that treat all entries alike."""
    _row(f"{words} $i$", "", f"{tex or name}_i")
    return tuple(
        _made(f"{name}_{i}", f"{words} {i}", "", f"{tex}_{i}" if tex else "", **assumptions)
        for i in range(1, entries + 1)
    )


_section("Sizes", "attention")
n = _count("n", "sequence length", "tokens")
d = _count("d", "width of one head")
d_model = _count("d_model", "width of the model", tex=r"d_\text{model}")
h = _count("h", "query heads")
g = _count("g", "key-value heads")
f = _count("f", "width of the MLP")
_on("quadratic-cost/flops")
c = _count("c", "matrices in the MLP")  # 2, or 3 if it is gated
_on("quadratic-cost/inference")
b = _count("b", "bytes a number", "bytes")
_on("attention")
m = _count("m", "number of keys", "keys")
_on("quadratic-cost/inference")
w = _count("w", "window", "keys")
_on("quadratic-cost/flashattention")
B = _count("B", "rows in a tile")
M = _count("M", "numbers that fit on chip")
_on("quadratic-cost/flops")
layers = _count("layers", "layers", tex="L")
_on("quadratic-cost/linear-attention")
features = _count("features", "features of a head", tex=r"d_\varphi")
_on("quadratic-cost/inference")
vocabulary = _count("vocabulary", "vocabulary", "tokens", r"\mathcal{V}")
tables = _count("tables", "embedding tables", tex="e")  # 2, or 1 if in- and output share theirs
_on("positional-encodings/encodings")
n_max = _count("n_max", "positions that were learned", "tokens", r"n_\text{max}")

_on("quadratic-cost/flops")
full = _count("full", "layers with full attention", tex=r"L_\text{full}")
d_k = _count("d_k", "width of a query or key", tex="d_k")
d_v = _count("d_v", "width of a value", tex="d_v")
steady = _count("steady", "multiply-adds of a token, the rest", tex="A")

n_star = _symbol("n_star", "length where attention is half", "tokens", "n^*", positive=True)

alpha = _symbol("alpha", "doubling exponent", tex=r"\alpha", real=True)

# What is served, on what: a prompt of n_in tokens is answered by n_out.
_section("Inference", "quadratic-cost/inference")
prompt = _count("prompt", "prompt", "tokens", r"n_\text{in}")
output = _count("output", "output", "tokens", r"n_\text{out}")
batch = _count("batch", "batch", "sequences", "S")
weights = _count("weights", "weights of all layers", tex="P")
table = _count("table", "weights of one embedding table", tex="T")
kappa = _count("kappa", "numbers that a token leaves in the cache", tex=r"\kappa")
weight_bytes = _count("b_w", "bytes a weight", tex=r"b_\text{w}")
experts = _count("experts", "experts in a layer", tex="E")
chosen = _count("chosen", "experts that a token visits", tex="k")
routed = _symbol(
    "routed", "weights of all experts", tex=r"P_\text{E}", integer=True, nonnegative=True
)
devices = _count("devices", "accelerators that share each layer", tex="t")
peak = _symbol("peak", "peak of the accelerator", "FLOPs/s", r"\text{peak}", positive=True)
bandwidth = _symbol(
    "bandwidth", "bandwidth of its memory", "B/s", r"\text{bandwidth}", positive=True
)
S_star = _symbol("S_star", "batch that computes as long as it reads", tex="S^*", positive=True)
S_n = _symbol("S_n", "the same, with n tokens of cache", tex="S^*_n", real=True)
n_last = _symbol("n_last", "context that no batch is enough for", tex=r"n_\text{last}", real=True)
model = _choice("model", "model", integer=True, positive=True)
accelerator = _choice(  # so many, of such a kind
    "accelerator", "number and kind of accelerator", integer=True, positive=True
)
_row("experts of a layer, and those of a token", "", "E,\\ k")

# A slider moves these more usefully than the sizes that they come from.
_section("Ratios of sizes", "attention")
group = _count("r", "query heads per key-value head")
_on("quadratic-cost/flops")
expansion = _symbol("rho", "MLP width over model width", tex=r"\rho", positive=True)
mlp = _symbol("MLP", "MLP weights over squared model width", tex=r"\rho_\text{MLP}", positive=True)
spread = _symbol("zeta", "width of all heads over model width", tex=r"\zeta", positive=True)
mask = _choice(
    "mask", "causal mask", integer=True, positive=True
)  # 1: all pairs are computed, 2: the half that it leaves

_section("Indices", "attention")
i = _symbol("i", "position of the query", integer=True, nonnegative=True)
j = _symbol("j", "position of the key", integer=True, nonnegative=True)
l = _symbol("l", "a position that a sum runs over", integer=True, nonnegative=True)  # noqa: E741

step = _choice("step", "step of the kernel", integer=True, nonnegative=True)

_section("Numbers", "attention")
x = _symbol("x", "query", real=True)
dot = _symbol("dot", "inner product of query and key", tex=r"q \cdot k", real=True)
gap_sq = _symbol("gap_sq", "squared distance", tex=r"\|q - k\|^2", nonnegative=True)
q_sq = _symbol("q_sq", "squared length of the query", tex=r"\|q\|^2", nonnegative=True)
k_sq = _symbol("k_sq", "squared length of the key", tex=r"\|k\|^2", nonnegative=True)
tau = _symbol("tau", "temperature", positive=True)
_row("kernel: how similar a key is to a query", "", r"\kappa(q, k)")
_on("quadratic-cost/linear-attention")
beta = _symbol("beta", "largest size of a score", tex=r"\beta", positive=True)
_row("largest size of an entry of Q, K and V", "", "E")
share = _symbol("share", "share of the weight", tex="p", positive=True)
_on("quadratic-cost/recurrent-networks")
w_h = _symbol("w_h", "recurrent weight", tex="w_h", positive=True)
h_0 = _symbol("h_0", "first state", real=True)
back = _symbol("Δ", "distance", "steps", r"\Delta", positive=True)
tanh_slope = _symbol("sigma", "typical slope of the tanh", tex=r"\sigma", positive=True)
forget = _symbol("forget", "forget gate", tex="f", positive=True)
cell = _symbol("cell", "cell", tex="c", real=True)
fresh = _symbol("fresh", "what is written into the cell", tex="u", real=True)
forget_bias = _symbol("b_f", "bias of the forget gate", tex="b_f", real=True)
_row("Lyapunov exponent", "", r"\lambda")
_row("gain of a random recurrent network", "", "g")

_section("Matrices and gradients", "attention")
_row("queries, keys and values, one a row", "", "Q,\\ K,\\ V")
_row("mask, which is added to the scores", "", "M")
_row("projections to queries, keys and values, and back", "", r"W_Q, \ldots, W_O")
_on("quadratic-cost/backward-pass")
_row("gradient of the loss with respect to X", "", r"dX")
_row("Jacobian of a function", "", "J")
_on("quadratic-cost/recurrent-networks")
_row("recurrent weights, and those of the inputs", "", "W_h,\\ W_x")
_row("Jacobian of step t", "", "J_t")

_section("Vectors", "attention")
q = _vector("q", "query, entry", real=True)
k = _vector("k", "key, entry", real=True)
s = _vector("s", "score", real=True)
a = _vector("a", "unnormalised weight", positive=True)
p = _vector("p", "weight", positive=True)
_on("quadratic-cost/backward-pass")
u = _vector("u", "incoming gradient, entry", real=True)
_on("attention")
p_soft = _vector("p_soft", "softmax weight", tex=r"\hat{p}", positive=True)
p_sparse = _vector("p_sparse", "sparsemax weight", tex="p^*", real=True)
v = _vector("v", "value", real=True)
_on("quadratic-cost/recurrent-networks")
inputs = _vector("x", "input of step", real=True)
states = _vector("h", "state after step", real=True)

# What a piece subtracts, its sum, its mix of values.
_section("A softmax in pieces", "quadratic-cost/flashattention")
top = _vector("m", "running maximum of piece", real=True)
mass = _vector("ell", "running sum of piece", tex=r"\ell", positive=True)
mix = _vector("o", "running mix of piece", real=True)
top_12 = _symbol("m_12", "maximum of pieces 1 and 2", tex="m_{12}", real=True)
top_23 = _symbol("m_23", "maximum of pieces 2 and 3", tex="m_{23}", real=True)
top_all = _symbol("m_123", "maximum of all pieces", tex="m", real=True)

_section("Features of a query and of two keys", "quadratic-cost/linear-attention")
phi_q = _vector("phi_q", "feature of the query, entry", r"\varphi(q)", entries=2, positive=True)
phi_1 = _vector("phi_1", "feature of key 1, entry", r"\varphi(k_1)", entries=2, positive=True)
phi_2 = _vector("phi_2", "feature of key 2, entry", r"\varphi(k_2)", entries=2, positive=True)
z = _vector("z", "sum over all keys of feature", entries=2, positive=True)
_on("attention")
Z = _symbol("Z", "sum of the exponentials", positive=True)
Z_rest = _symbol("Z_rest", "the same over all other keys", tex=r"Z_\text{rest}", positive=True)
V_rest = _symbol("V_rest", "their weighted values", tex=r"V_\text{rest}", real=True)

_section("Positions, frequencies and slopes", "positional-encodings/encodings")
here = _symbol("p", "position", "tokens", real=True)
there = _symbol("p_other", "another position", "tokens", "p'", real=True)
delta = _symbol("delta", "distance", "tokens", r"\Delta", real=True)
frequencies = _count("F", "frequencies, half the width")
slowest = _count("slowest", "index of the slowest frequency", tex=r"i_\text{max}")
omega = _symbol("omega", "frequency", tex=r"\omega", positive=True)
omegas = _vector("omega", "frequency", r"\omega", entries=2, positive=True)
theta = _symbol("theta", "angle at the position", "radians", r"\theta", real=True)
theta_other = _symbol(
    "theta_other", "angle at the other position", "radians", r"\theta'", real=True
)
base = _symbol("base", "base of the frequencies", tex="b", positive=True)
_on("positional-encodings/rotary")
mu = _vector("mu", "part of the matrix", r"\mu", entries=4, real=True)
nu = _vector("nu", "part of the matrix, one step on,", r"\nu", entries=4, real=True)
_on("positional-encodings/encodings")
slope = _symbol("slope", "slope", tex="m", positive=True)
epsilon = _symbol("epsilon", "share of the weight left out", tex=r"\varepsilon", positive=True)
head = _count("head", "number of the head", tex=r"\ell")
_on("positional-encodings/rotary")
turn = _symbol("turn", "angle of one token's rotation", "radians", r"\alpha", real=True)
other_turn = _symbol("other_turn", "angle of its second column", "radians", r"\beta", real=True)
growth = _symbol("growth", "factor of a token", tex=r"\gamma", positive=True)
first = _symbol("first", "first position", "tokens", "p_0", integer=True, nonnegative=True)
period = _symbol("period", "period of a frequency", "tokens", r"\lambda", positive=True)
_on("positional-encodings/longer-contexts")
context = _count("context", "trained context", "tokens", r"n_\text{train}")
factor = _symbol("factor", "new length over the trained one", tex="s", positive=True)
low = _symbol("low", "turns up to which YaRN stretches", "turns", r"r_\text{low}", positive=True)
high = _symbol("high", "turns from which it does not", "turns", r"r_\text{high}", positive=True)

_section("Number formats", "positional-encodings/rotary")
bits = _count("bits", "significant bits", tex="t")
exponent = _symbol("exponent", "exponent of an angle", tex="e", integer=True)
error = _symbol("error", "largest error of an angle", "radians", r"\eta", positive=True)

_section("Tokens 1 and 2, after they changed places", "positional-encodings/encodings")
q_moved = _vector("q_moved", "query, moved, in place", "q'", entries=2, real=True)
k_moved = _vector("k_moved", "key, moved, in place", "k'", entries=2, real=True)
v_moved = _vector("v_moved", "value, moved, in place", "v'", entries=2, real=True)

_section("Images", "locality/costs")
side = _count("H", "side of the image", "pixels")
axes = _count("axes", "axes: image 2, volume 3", tex="D")
frames = _count("frames", "frames or slices of patches", tex="T")
patch = _count("patch", "side of a patch", "pixels", "p")
taps = _count("taps", "width of a kernel", "pixels", "k")
stride = _count("stride", "stride", "pixels", "s")
around = _count("window", "tokens in a window", "tokens", "w")
channels = _choice("channels", "channels of a pixel", integer=True, positive=True)  # d on pages

_section("One token among many", "locality/dilution")
lead = _symbol("lead", "lead of one score over all others", tex=r"\delta", nonnegative=True)
classes = _count("values", "number of different values", tex="C")
signal = _symbol("signal", "signal over noise", tex=r"\text{SNR}", positive=True)
noise = _symbol("scores", "spread of the other scores", tex=r"\varsigma", nonnegative=True)
moment = _symbol("moment", "power at which a sum is bounded", tex=r"\rho", positive=True)
standard = _symbol("standard", "a standard normal variable", tex=r"\xi", real=True)
tuned = _count("n_0", "length at which scores are as they are", "tokens", "n_0")

_section("A convolution by heads", "locality/convolution")
sharpness = _symbol("sharpness", "sharpness of a head", tex=r"\alpha", positive=True)
column = _symbol("key_column", "column of the key", "pixels", "x", real=True)
row = _symbol("key_row", "row of the key", "pixels", "y", real=True)
aim_x = _symbol("aim_x", "column at which the head aims", "pixels", "x^*", real=True)
aim_y = _symbol("aim_y", "row at which the head aims", "pixels", "y^*", real=True)
right = _symbol("right", "offset to the right", tex=r"\Delta_x", integer=True)
downwards = _symbol("downwards", "offset downwards", tex=r"\Delta_y", integer=True)

_section("A layer that learns", "locality/learning")
examples = _count("examples", "examples to learn from", tex="N")
seen = _count("seen", "numbers that a place sees", tex="r")
kernels = _count("kernels", "kernels, one for all places or one each", tex="P")
strength = _symbol("strength", "length of a pattern, over the noise", tex="S", positive=True)
per_weight = _symbol("per_weight", "examples for each weight", tex="t", positive=True)

_section("A stack of layers", "locality/reach")
taken = _symbol("taken", "share that a layer takes from its window", tex="p", positive=True)

_section("Windows on an image", "locality/windows")
window_side = _count("window_side", "side of a window", "pixels", "M")
shift = _count("shift", "shift of the windows", "pixels", "s")
apart = _count("apart", "how far two pixels are apart", "pixels", r"\Delta")
halved = _choice("halved", "shift over the side of a window", positive=True)
