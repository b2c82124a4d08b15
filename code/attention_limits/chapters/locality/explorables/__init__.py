"""The sliders of "Locality", a module for each page."""
