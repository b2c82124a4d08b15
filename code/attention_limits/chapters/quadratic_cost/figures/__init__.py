"""The still figures of "Quadratic cost"; each function returns a ``style.Figure``."""
