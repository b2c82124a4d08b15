"""Shapes of published models.

``SHAPES`` are those with full attention, dense MLPs and heads that share the width; ``MODELS``
takes others beside some of these and says of each what its FLOPs depend on; ``ROTARY`` says what
models turn their queries and keys by.  Facts from the works cited and from the configurations
published with them.
"""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Shape:
    """One model: the sizes that the book's formulas take, under their symbols' names."""

    name: str
    d_model: int  # width
    h: int  # query heads
    g: int  # key-value heads
    f: int  # width of the MLP
    c: int  # matrices in the MLP: 3 if it is gated
    layers: int
    vocabulary: int  # tokens
    tables: int  # of embeddings: 1 if the output shares the input's
    trained: int  # tokens of context in training
    source: str  # key in references.bib

    @property
    def sizes(self) -> dict[str, int]:
        """What a layer's formulas take, the sequence length aside."""
        return {k: v for k, v in asdict(self).items() if k in ("d_model", "h", "g", "f", "c")}

    @property
    def whole(self) -> dict[str, int]:
        """What formulas of a whole model take on top of that."""
        return self.sizes | {k: getattr(self, k) for k in ("layers", "vocabulary", "tables")}


@dataclass(frozen=True)
class Model:
    """One model as its FLOPs see it; layers may read a window, or a state, instead of everything.

    Weights are counted without embeddings, norms and short convolutions, and of the experts only
    those that a token visits.
    """

    name: str
    year: int
    layers: int
    full: int  # layers that attend to the whole sequence
    h: int  # query heads of a layer that attends
    d_k: int  # width of a query, or a key
    d_v: int  # width of a value
    weights: int  # numbers that one token is multiplied with, in all layers
    first: int  # tokens of context in the first stage of training, where most of it happens
    trained: int  # tokens of context in the last stage
    source: str  # key in references.bib
    window: int = 0  # keys that a query sees in layers with a sliding window
    windowed: int = 0  # such layers
    state: int = 0  # numbers in the states of recurrent layers, all heads

    @classmethod
    def of(cls, shape: Shape, year: int, first: int) -> "Model":
        """A model whose layers are all the same, attend to everything and share the width."""
        layer = _projections(shape.d_model, shape.h, shape.g, shape.d_model // shape.h)
        layer += shape.c * shape.d_model * shape.f
        d = shape.d_model // shape.h
        weights, trained = shape.layers * layer, shape.trained
        name, layers = shape.name, shape.layers
        return cls(name, year, layers, layers, shape.h, d, d, weights, first, trained, shape.source)

    @property
    def steady(self) -> int:
        """Multiply-adds of one token that do not grow with the sequence.

        One for each weight, those of the windows, once they are full, and three for each number of
        a recurrent state: what it returns for the key, what it takes in, what the query reads.
        """
        in_windows = self.windowed * self.window * self.h * (self.d_k + self.d_v)
        return self.weights + in_windows + 3 * self.state


def _projections(d_model: int, h: int, g: int, d: int) -> int:
    """Weights of queries, keys, values and the output, for heads of any width."""
    return 2 * d_model * d * (h + g)


def _latent(d_model: int, h: int, q_rank: int) -> int:
    """Weights of latent attention (MLA): keys and values from 512 numbers, and 64 with positions.

    Without a rank, queries come straight from the input.
    """
    queries = q_rank * (d_model + h * 192) if q_rank else d_model * h * 192
    return queries + d_model * (512 + 64) + 512 * h * (128 + 128) + h * 128 * d_model


def _delta(d_model: int, h: int, d: int) -> int:
    """Weights of Kimi's delta attention: four projections, two gates of rank d, and one a head."""
    return 4 * d_model * h * d + 2 * d * (d_model + h * d) + d_model * h


@dataclass(frozen=True)
class Rotary:
    """The rotary encoding of one model: one base, on the whole of each head, not scaled."""

    name: str
    base: float
    d: int  # width of one head
    trained: int  # tokens of context in training
    source: str  # key in references.bib


GPT2, LLAMA2, LLAMA3 = "radford2019language", "touvron2023llama2", "grattafiori2024llama3"
QWEN3, GEMMA3 = "qwen2025qwen3", "gemma2025gemma3"
DEEPSEEK3, KIMI = "deepseek2024v3", "kimi2025linear"

SHAPES = {
    shape.name: shape
    for shape in (
        # name, d_model, h, g, f, c, layers, vocabulary, tables, trained, source
        Shape("GPT-2 small", 768, 12, 12, 3072, 2, 12, 50257, 1, 1024, GPT2),
        Shape("GPT-2 XL", 1600, 25, 25, 6400, 2, 48, 50257, 1, 1024, GPT2),
        Shape("Llama-2 7B", 4096, 32, 32, 11008, 3, 32, 32000, 2, 4096, LLAMA2),
        Shape("Llama-3 8B", 4096, 32, 8, 14336, 3, 32, 128256, 2, 8192, LLAMA3),
        Shape("Llama-3 70B", 8192, 64, 8, 28672, 3, 80, 128256, 2, 8192, LLAMA3),
        Shape("Llama-3.1 8B", 4096, 32, 8, 14336, 3, 32, 128256, 2, 131072, LLAMA3),
        Shape("Llama-3.1 70B", 8192, 64, 8, 28672, 3, 80, 128256, 2, 131072, LLAMA3),
        Shape("Llama-3.1 405B", 16384, 128, 8, 53248, 3, 126, 128256, 2, 131072, LLAMA3),
    )
}

MODELS = {
    model.name: model
    for model in (
        Model.of(SHAPES["GPT-2 small"], 2019, 1024),
        Model.of(SHAPES["GPT-2 XL"], 2019, 1024),
        Model.of(SHAPES["Llama-2 7B"], 2023, 4096),
        Model.of(SHAPES["Llama-3.1 8B"], 2024, 8192),
        Model.of(SHAPES["Llama-3.1 70B"], 2024, 8192),
        Model.of(SHAPES["Llama-3.1 405B"], 2024, 8192),
        Model(
            "DeepSeek-V3",
            2024,
            61,
            61,
            128,
            192,
            128,
            # Three layers have one wide MLP. In the others a token visits nine experts of 256,
            # as wide together, and a router that chooses eight of them.
            61 * (_latent(7168, 128, 1536) + 3 * 7168 * 18432) + 58 * 7168 * 256,
            4096,
            131072,
            DEEPSEEK3,
        ),
        Model(
            "Qwen3-32B",
            2025,
            64,
            64,
            64,
            128,
            128,
            64 * (_projections(5120, 64, 8, 128) + 3 * 5120 * 25600),
            4096,
            32768,
            QWEN3,
        ),
        Model(
            "Gemma-3 27B",
            2025,
            62,
            10,
            32,
            128,
            128,
            62 * (_projections(5376, 32, 16, 128) + 3 * 5376 * 21504),
            32768,
            131072,
            GEMMA3,
            window=1024,
            windowed=52,
        ),
        Model(
            "Kimi Linear",
            2025,
            27,
            7,
            32,
            192,
            128,
            # One layer has one wide MLP, the others nine experts, as wide together, and a router.
            7 * _latent(2304, 32, 0)
            + 20 * _delta(2304, 32, 128)
            + 27 * 3 * 2304 * 9216
            + 26 * 2304 * 256,
            4096,
            1048576,
            KIMI,
            state=20 * 32 * 128 * 128,
        ),
    )
}

ROTARY = {
    model.name: model
    for model in (
        # name, base, d, trained, source
        Rotary("Llama-2 7B", 10_000, 128, 4096, LLAMA2),
        Rotary("Llama-3 8B", 500_000, 128, 8192, LLAMA3),
        Rotary("Qwen3-32B", 1_000_000, 128, 32768, QWEN3),
    )
}


@dataclass(frozen=True)
class Memory:
    """One of ``MODELS`` as inference sees it: what has to be held, and read for each token."""

    name: str
    kappa: int  # numbers that each token leaves in the cache, in all layers together
    weights: int  # of all layers, experts that a token does not visit included
    table: int  # numbers in one embedding table
    tables: int  # 1 if the output shares the input's
    g: int  # key-value heads, which accelerators can share out: 1 if all heads read one vector
    steady: int = 0  # numbers in full windows and in states, which do not grow
    routed: int = 0  # weights of the experts that a router chooses from, in all layers
    experts: int = 1  # of these, in one layer
    chosen: int = 1  # those that a token visits
    # Multiply-adds of a query with one cached token, in all layers, where decoding takes others
    # than prefill: in latent attention, heads then read the cached vector itself.
    of_cached: int = 0

    @classmethod
    def of(cls, shape: Shape) -> "Memory":
        """A model whose layers are all the same and attend to everything."""
        kappa = shape.layers * shape.g * 2 * (shape.d_model // shape.h)
        weights, table = MODELS[shape.name].weights, shape.vocabulary * shape.d_model
        return cls(shape.name, kappa, weights, table, shape.tables, shape.g)

    @property
    def parameters(self) -> int:
        """All weights, those of the embeddings included."""
        return self.weights + self.tables * self.table


MEMORY = {
    memory.name: memory
    for memory in (
        *(Memory.of(SHAPES[name]) for name in MODELS if name in SHAPES),
        # Latent attention keeps 512 numbers and 64 with positions, whatever the number of heads.
        Memory(
            "DeepSeek-V3",
            61 * (512 + 64),
            61 * _latent(7168, 128, 1536)
            + 3 * 3 * 7168 * 18432
            + 58 * 7168 * (256 + 257 * 3 * 2048),
            129280 * 7168,
            2,
            1,
            routed=58 * 256 * 3 * 7168 * 2048,
            experts=256,
            chosen=8,
            of_cached=61 * 128 * (576 + 512),
        ),
        Memory("Qwen3-32B", 64 * 8 * 2 * 128, MODELS["Qwen3-32B"].weights, 151936 * 5120, 2, 8),
        Memory(
            "Gemma-3 27B",
            10 * 16 * 2 * 128,
            MODELS["Gemma-3 27B"].weights,
            262208 * 5376,  # 262,144 tokens of text and 64 rows more
            1,
            16,
            steady=52 * 1024 * 16 * 2 * 128,
        ),
        Memory(
            "Kimi Linear",
            7 * (512 + 64),
            7 * _latent(2304, 32, 0)
            + 20 * _delta(2304, 32, 128)
            + 3 * 2304 * 9216
            + 26 * 2304 * (256 + 257 * 3 * 1024),
            163840 * 2304,
            2,
            1,
            steady=20 * 32 * 128 * 128,
            routed=26 * 256 * 3 * 2304 * 1024,
            experts=256,
            chosen=8,
            of_cached=7 * 32 * (576 + 512),
        ),
    )
}
