"""The evidence for the book's claims: one file a topic, one function for each piece of it."""

from attention_limits.evidence.evidence import Evidence

__all__ = ["Evidence"]
