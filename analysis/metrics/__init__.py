"""Distances and scores of sets of images, from their features or their pixels: NumPy and SciPy in float64, no model."""
