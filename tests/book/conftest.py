import pytest
from helpers.small_book import Book


@pytest.fixture
def book(tmp_path):
    """A small book of its own for each test that has to see one built, fail, or be killed."""
    return Book(tmp_path)
