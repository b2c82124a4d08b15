"""The evidence of "Positional encodings", a module for each page."""
