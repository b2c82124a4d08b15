"""The still figures of "Positional encodings", a module for each page."""
