"""Procedural phantoms with known ground truth: no download, no patients, never clinical data."""
