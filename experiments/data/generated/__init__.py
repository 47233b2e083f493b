"""Data sets made up on the spot: nothing to download, the same for everybody up to rounding."""
