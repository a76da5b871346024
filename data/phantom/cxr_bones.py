"""Bones of the chest radiograph phantom, as cm of mineral-equivalent bone beyond soft tissue, [n, h, w].

A rib is a tilted elliptic ring around the cage: seen from the front its posterior half runs down and out from
the spine, its anterior half down and in from the wall. One periodic level set draws all ribs of a family.
"""

import numpy as np

from data.phantom.cxr_anatomy import arm
from data.phantom.raster import coverage, half_disc


def rib_family(f, g, lateral, spread, direction):
    """One half of all rings. lateral: sqrt(1 - (x/L)^2); direction -1 posterior, +1 anterior."""
    drop = f["rib_drop"] * spread
    reach = 2 * f["thorax_halfwidth"] * spread - np.abs(g.x)  # the way out and back
    centre = drop * (1 + direction * lateral) + f["rib_slope"] * (np.abs(g.x) if direction < 0 else reach)
    spacing = f["rib_spacing"] * (1.0 if direction < 0 else 1.12)
    k = (g.y - centre) / spacing - f["rib_phase"]
    k = k + np.where(g.side > 0, 0.06, 0.0)
    half = f["rib_halfheight"] * (1.0 if direction < 0 else 1.15)
    slope = drop * (1 - lateral**2) / (np.maximum(lateral, 0.15) * np.maximum(np.abs(g.x), 1.0))
    distance = np.abs(k - np.round(k)) * spacing / np.sqrt(1 + slope * slope)
    filled = coverage(half - distance, g.pixel)
    shell = coverage(half - distance, g.pixel) - coverage(0.6 * half - distance, g.pixel)
    real = coverage(k + 0.5, 0.3) * coverage((9.6 if direction < 0 else 7.0) - k, 2.0)
    return (0.32 * filled + 0.12 * shell) * real


def ribs(f, g, body):
    """Posterior and anterior arcs; the anterior ones end in cartilage, which hardly attenuates."""
    level = np.maximum(body.level, 1e-3)
    ratio = np.abs(g.x) / (np.sqrt(level) * f["thorax_halfwidth"] + 0.35)
    lateral = np.sqrt(np.maximum(1 - ratio * ratio, 0.0))
    spread = np.sqrt(np.minimum(level, 1))
    oblique = 1 / np.maximum(lateral, 0.45)
    behind = rib_family(f, g, lateral, spread, -1) * coverage(np.abs(g.x) - 1.6, 0.8)
    front = rib_family(f, g, lateral, spread, 1) * np.clip((ratio - 0.38) / 0.25, 0, 1)
    wall = coverage(0.4 - np.abs(body.wall + 0.2), 0.8) * 0.15 * (body.level > 0)
    hidden = 1 - 0.6 * coverage(body.below, 4.0)  # low ribs are short and lie far from the detector
    return hidden * ((behind + 0.55 * front) * oblique * (ratio < 1) + wall) * f["bone"]


def spine(f, g):
    """Vertebral bodies with disc spaces and end plates; pedicles as denser spots."""
    k = g.y / 2.35 + f["rib_phase"]
    d = np.abs(k - np.round(k))
    column = coverage(1.75 - np.abs(g.x), 0.5)
    disc = coverage(d * 2.35 - 0.28, g.pixel)
    pedicle = half_disc(((np.abs(g.x) - 1.15) / 0.5) ** 2 + ((d - 0.32) * 2.35 / 0.6) ** 2)
    return (column * (0.35 + 0.25 * disc) + 0.3 * pedicle) * f["bone"]


def clavicles(f, g):
    """S-shaped, from the sternum up and out; axial rotation shifts their medial ends."""
    ax = np.abs(g.x - f["turn"] * np.clip(1 - np.abs(g.x) / 16, 0, 1))
    end = f["thorax_halfwidth"] + 2.0
    t = np.clip((ax - 1.3) / (end - 1.3), 0, 1)
    bow = 0.9 * np.sin(2 * np.pi * t) * (1 - 0.5 * t)
    centre = f["clavicle_level"] - f["clavicle_slope"] * (ax - 1.3) + bow
    half = 0.65 + 0.35 * np.abs(1 - 2 * t) ** 2
    d = np.abs(g.y - centre)
    shape = 0.5 * coverage(half - d, g.pixel) + 0.4 * (
        coverage(half - d, g.pixel) - coverage(0.6 * half - d, g.pixel))
    return shape * coverage(ax - 1.3, 0.6) * coverage(end - ax, 0.6) * f["bone"]


def shoulder_girdle(f, g):
    """Scapular blades (thin plates with dense borders), humeral heads and shafts."""
    ax = np.abs(g.x)
    edge = f["thorax_halfwidth"] - 3.0 + f["scapula"] + 0.18 * (g.y - 4)
    medial = ax - edge
    lateral = edge + 5.2 - 0.42 * np.maximum(g.y - 2, 0) - ax
    inside = np.minimum(np.minimum(medial, lateral), np.minimum(g.y - 1.0, 13.5 - g.y))
    blade = 0.16 * coverage(inside, g.pixel) + 0.25 * coverage(0.3 - np.abs(inside - 0.3), g.pixel)
    _, axis = arm(f, g, ax, -1.0)
    shaft = 0.75 * coverage(1.15 - axis, g.pixel) - 0.3 * coverage(0.7 - axis, g.pixel)
    head2 = ((ax - f["thorax_halfwidth"] - 2.6 - 0.4 * f["wall"]) / 2.3) ** 2 + ((g.y - 2.6) / 2.5) ** 2
    return (blade + shaft + 0.9 * half_disc(head2)) * f["bone"]


def skeleton(f, g, body):
    """All bones, [n, h, w]."""
    return ribs(f, g, body) + spine(f, g) + clavicles(f, g) + shoulder_girdle(f, g)
