"""The still figures of "Locality"; each function returns a ``style.Figure``."""
