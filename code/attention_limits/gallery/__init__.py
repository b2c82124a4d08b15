"""The pictures of the library's pages; each function returns a ``style.Figure``."""
