"""Tests that mirror gcnn/ and experiments/."""
