"""What the chapter "Quadratic cost" proves, measures, shows and runs."""
