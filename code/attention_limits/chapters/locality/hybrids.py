"""Language models that mix layers with windows and global ones.

Facts from the works cited and from the configurations published with them; the page "What practice
does" lists the same rows, which a test compares.
"""

from dataclasses import dataclass

from attention_limits.chapters.locality.derivations import practice as derivations
from attention_limits.shapes import MODELS

TOKENS = 131_072  # at which the page compares them, whatever each was trained on


@dataclass(frozen=True)
class Hybrid:
    """So many layers with a window follow on so many global ones, all with the same heads."""

    windowed: int
    full: int
    window: int  # tokens
    source: str  # key in references.bib

    def share(self, n: int = TOKENS) -> float:
        """Of the KV cache that the same model would have without windows."""
        one = {"n": n, "d": 1, "b": 1}  # heads and widths cancel
        held, in_window = derivations.HELD(**one), derivations.HELD_IN_WINDOW(w=self.window, **one)
        return (self.full * held + self.windowed * in_window) / (held * (self.full + self.windowed))


_GEMMA3 = MODELS["Gemma-3 27B"]

HYBRIDS = {
    "Mistral 7B v0.1": Hybrid(32, 0, 4096, "jiang2023mistral"),
    "Gemma 2 27B": Hybrid(23, 23, 4096, "google2024gemma"),
    "Command R7B": Hybrid(3, 1, 4096, "huggingface2024cohere2"),
    "Gemma-3 27B": Hybrid(_GEMMA3.windowed, _GEMMA3.full, _GEMMA3.window, _GEMMA3.source),
    "EXAONE 4.0 32B": Hybrid(3, 1, 4096, "huggingface2025exaone4"),
    "gpt-oss 120B": Hybrid(18, 18, 128, "openai2025gptoss"),
    "Olmo 3 7B": Hybrid(24, 8, 4096, "huggingface2026configurations"),
}
