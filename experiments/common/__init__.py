"""What every other package may use: errors, files, and what is asked of every network."""
