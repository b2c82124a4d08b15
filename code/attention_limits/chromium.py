"""Where Chromium is, which prints the book and in which its pages are tested."""

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")


def found() -> str | None:
    """The browser of $CHROMIUM, or the first of the usual names on the path."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
