"""The sliders of "Positional encodings", a module for each page."""
