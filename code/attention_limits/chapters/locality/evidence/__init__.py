"""The evidence of "Locality", a module for each page."""
