"""The derivations of "Quadratic cost", a module for each page."""
