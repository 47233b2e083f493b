"""Equivariant polyp segmentation in colonoscopy images: `python -m experiments.polyp --help`."""
