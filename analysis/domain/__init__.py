"""Metrics that know what the images show: findings, factors of phantoms, anatomy; read by networks of real images."""
