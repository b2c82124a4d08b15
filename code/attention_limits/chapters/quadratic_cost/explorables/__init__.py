"""The sliders of "Quadratic cost", a module for each page."""
