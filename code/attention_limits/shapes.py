"""Shapes of published models with full attention, dense MLPs and heads that share the width.

Beside them, what models turn their queries and keys by.  Facts from the works cited and from the
configurations published with them.
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
class Rotary:
    """The rotary encoding of one model: one base, on the whole of each head, not scaled."""

    name: str
    base: float
    d: int  # width of one head
    trained: int  # tokens of context in training
    source: str  # key in references.bib


GPT2, LLAMA2, LLAMA3 = "radford2019language", "touvron2023llama2", "grattafiori2024llama3"
QWEN3 = "qwen2025qwen3"

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

ROTARY = {
    model.name: model
    for model in (
        # name, base, d, trained, source
        Rotary("Llama-2 7B", 10_000, 128, 4096, LLAMA2),
        Rotary("Llama-3 8B", 500_000, 128, 8192, LLAMA3),
        Rotary("Qwen3-32B", 1_000_000, 128, 32768, QWEN3),
    )
}
