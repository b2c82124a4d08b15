"""The evidence of the chapter "Positional encodings", one function for each piece of it."""

from attention_limits.chapters.positional_encodings.evidence import commutant, length, positions

__all__ = ["commutant", "length", "positions"]
