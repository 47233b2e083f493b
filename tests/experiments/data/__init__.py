"""Tests of the data of the studies."""
