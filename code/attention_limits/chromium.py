"""Where Chromium is, which prints the book and in which its pages are tested."""

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")


def found() -> str | None:
    """The path of the browser that $CHROMIUM names, or of the first of the usual ones."""
    named = os.environ.get("CHROMIUM")
    return next(filter(None, map(shutil.which, [named] if named else NAMES)), None)
