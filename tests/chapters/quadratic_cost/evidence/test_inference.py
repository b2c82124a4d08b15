"""The evidence on what is paid for: small enough to be counted while one waits."""

from attention_limits.chapters.quadratic_cost.evidence import inference


def test_writing_is_counted_to_the_last_token():
    """Tokens at the end were left out of the count, or of the formula."""
    found = inference.writing_matches_torch(n=6)
    assert (found.value, found.expected) == (0, 0)
