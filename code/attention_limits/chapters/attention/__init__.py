"""What the chapter "Attention" proves, measures, shows and runs."""
