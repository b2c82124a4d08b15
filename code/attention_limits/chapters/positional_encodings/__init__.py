"""What the chapter "Positional encodings" proves, measures, shows and runs."""
