"""How anything measured is run, timed, kept with its provenance, and compared."""
