"""Experiments in medical imaging with group-equivariant networks.

One package a study (`polyp`, `tumour`), and `common` for what every study shares.
"""
