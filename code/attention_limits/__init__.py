"""The library behind *The Limits of Attention*."""
