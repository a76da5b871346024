"""The three findings that change the lungs; cardiomegaly is a matter of the heart's size alone.

Each returns what it replaces as shares or cm, [n, h, w]; with the label off it returns zeros.
"""

import numpy as np

from data.phantom.raster import coverage


def hemithorax(g, side):
    """1 within the given side, fading to 0 behind the mediastinum."""
    return np.clip((side * g.x - 0.5) / 3.0, 0, 1)


def pneumonia(f, g, cloud):
    """Share of the lung's air replaced by exudate, 0..0.95: patchy, within one lung, ill-defined.

    cloud: unit-variance texture [n, h, w]; consolidation is lobular, so the edge follows it.
    """
    side = f["pneumonia_side"]
    x0 = side * (3.0 + f["pneumonia_x"] * (f["thorax_halfwidth"] - 4.5))
    y0 = f["pneumonia_y"] * f["lung_height"]
    r2 = ((g.x - x0) ** 2 + 0.8 * (g.y - y0) ** 2) / f["pneumonia_radius"] ** 2
    extent = np.exp(-0.5 * r2) * (1 + 0.45 * cloud) * hemithorax(g, side)
    return np.clip(f["pneumonia_opacity"] * 1.3 * extent, 0, 0.95)


def effusion(f, g):
    """Share of the pleural cavity filled with fluid, 0..1, with the meniscus that rises to the lateral wall.

    With a pneumothorax on the same side the surface is flat (air-fluid level).
    """
    side = f["effusion_side"]
    angle = f["lung_height"] + f["angle_depth"] + np.where(side > 0, f["dome_drop"], 0)
    level = np.where(f["effusion_depth"] > 0, f["effusion_depth"], -40.0)
    t = np.clip(np.abs(g.x) / f["thorax_halfwidth"], 0, 1)
    flat = (f["pneumothorax"] > 0) & (f["pneumothorax_side"] == side)
    rise = np.where(flat, 0.75, 0.62 + 0.38 * t**4)
    depth = g.y - (angle - level * rise)
    blunt = np.where(flat, g.pixel, 1.2 + 1.5 * (1 - t))
    return coverage(depth, blunt) * hemithorax(g, side)


def pneumothorax(f, g, wall):
    """(share of free air 0..1, cm of visceral pleura along the ray).

    wall: distance to the chest wall in cm. The lung falls away most at the apex when the patient stands. The
    pleura is 0.02 cm thick; seen edge on around a lung of radius 8 cm the ray runs about 1.1 cm within it.
    """
    side = f["pneumothorax_side"]
    there = (f["pneumothorax"] > 0) & (g.side == side)
    t = np.clip(g.y / f["lung_height"], 0, 1)
    inward = f["pneumothorax_gap"] * (1.25 - 0.75 * t * t) - wall
    free = coverage(inward, g.pixel) * there
    width = np.maximum(0.18, g.pixel)
    line = np.clip(1 - np.abs(inward) / width, 0, 1) * (0.18 / width) * 1.8 * there
    return free, line
