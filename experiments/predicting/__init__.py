"""Masks for images and volumes by a trained network: what is found, read, predicted and written."""
