"""The evidence of "Quadratic cost", a module for each page or two."""
