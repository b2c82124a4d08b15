"""What the chapter "Locality" proves, measures, shows and runs."""
