"""Measurements against plain convolutions and the peers: `python -m benchmarks.<name>`."""
