"""The derivations of "Locality", a module for each page."""
