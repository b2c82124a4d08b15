"""The book's still figures, one file a chapter; each function returns a ``style.Figure``."""
