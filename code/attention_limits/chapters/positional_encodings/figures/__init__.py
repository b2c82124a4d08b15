"""The still figures of "Positional encodings"; each function returns a ``style.Figure``."""

from attention_limits.chapters.positional_encodings.figures import encodings, length

__all__ = ["encodings", "length"]
