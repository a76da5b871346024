"""Whether a model repeats its training images, calibrated by real images that it has not seen; and what to do then."""
