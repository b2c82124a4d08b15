"""The derivations of "Positional encodings", a module for each page."""
