"""Soft tissue of the chest radiograph phantom: which path of each ray, in cm, runs through what.

The thorax is an ellipsoidal cage; diaphragm, mediastinum and heart take their share of its depth. Coordinates
are those of cxr_factors. Arrays are [n, h, w]; factors [n, 1, 1].
"""

from dataclasses import dataclass

import numpy as np

from data.phantom.raster import coverage, half_disc

BEND = 0.22  # angular frequency of the spine's lateral bend, 1/cm


@dataclass
class Grid:
    """Pixel centres of an exposure in the patient's frame."""

    x: np.ndarray  # [n, h, w] cm
    y: np.ndarray  # [n, h, w] cm
    side: np.ndarray  # [n, h, w], +1 left of the midline, -1 right
    pixel: np.ndarray  # [n, 1, 1] cm, width of a pixel
    area: np.ndarray  # [n, 1, 1] cm^2, area of a pixel

    @classmethod
    def view(cls, f, u, v):
        """Field of view of one exposure: shift, in-plane rotation and the bend of the spine."""
        half_x, half_y, centre_y = field(f)
        size = u.shape[-1]
        px, py = u * half_x + f["view_x"], v * half_y
        x = px + f["tilt"] * py
        y = py - f["tilt"] * px + centre_y
        x = x - f["curve"] * np.sin(y * BEND + f["curve_phase"])
        side = np.where(x > 0, 1.0, -1.0)
        return cls(x, y, side, 2 * half_x / size, 4 * half_x * half_y / size**2)

    def locate(self, f, x, y):
        """Pixel positions (col, row) of points in the patient's frame, cm [n, k]: the inverse of `view`."""
        size = self.x.shape[-1]
        half_x, half_y, centre_y = (a[:, :, 0] for a in field(f))
        shift, tilt, bend, phase = (f[k][:, :, 0] for k in ("view_x", "tilt", "curve", "curve_phase"))
        x, y = x + bend * np.sin(y * BEND + phase), y - centre_y
        px = (x - tilt * y) / (1 + tilt**2)
        py = y + tilt * px
        return ((px - shift) / half_x + 1) * size / 2 - 0.5, (py / half_y + 1) * size / 2 - 0.5


def field(f):
    """Half-width and half-height of the image and its centre's level, all cm [n, 1, 1]."""
    half_x = f["thorax_halfwidth"] * f["view_margin"] + 1.0
    above = np.maximum(f["view_top"], 1.5)
    half_y = np.maximum(half_x * f["view_aspect"], 0.5 * (f["lung_height"] + f["angle_depth"] + above + 2.5))
    return half_x, half_y, half_y - above


def cage(f, g):
    """Inner rib cage. Returns (inside, level): 1 - (x/L)^2 scaled to an ellipsoid, and its value at x = 0."""
    widest = 0.85 * f["lung_height"]
    t2 = np.clip((widest - g.y) / widest, 0, None) ** 2
    below = np.clip(g.y - widest, 0, 20) / 20
    level = 1 - t2 * (f["cage_shape"] + (1 - f["cage_shape"]) * t2) - 0.3 * below * below
    return level - (g.x / f["thorax_halfwidth"]) ** 2, level


def cage_distance(f, g, inside):
    """Distance to the inner wall in cm (first order), positive inside."""
    widest = 0.85 * f["lung_height"]
    t = np.clip((widest - g.y) / widest, 0, 1)
    slope_y = 2 * t * (f["cage_shape"] + 2 * (1 - f["cage_shape"]) * t * t) / widest
    slope_x = 2 * g.x / f["thorax_halfwidth"] ** 2
    return inside / np.sqrt(slope_x**2 + slope_y**2 + 1e-4)


def diaphragm(f, g):
    """Distance below the diaphragm's outline in cm, [n, h, w], negative in the lung."""
    left = np.clip(g.x / 4 + 0.5, 0, 1)  # the halves meet smoothly behind the heart
    peak = 0.44 * f["thorax_halfwidth"]
    dome = f["lung_height"] + left * f["dome_drop"]
    out = (np.abs(g.x) - peak) / np.where(np.abs(g.x) > peak, f["thorax_halfwidth"] - peak, peak)
    o2 = np.minimum(out * out, 1.3)
    fall = np.where(out > 0, f["angle_depth"] * (0.6 + 0.4 * o2 * o2), 0.7)
    slope = 2 * out * fall / (0.55 * f["thorax_halfwidth"])
    return (g.y - dome - fall * o2) / np.sqrt(1 + slope * slope)


def heart_frame(f):
    """The silhouette as three discs joined by cones: (x, y, radius) cm of base, left ventricle, right atrium.

    Their outermost points make the transverse diameter over the thorax's exactly the cardiothoracic ratio.
    """
    width = 2 * f["thorax_halfwidth"] * f["cardiothoracic_ratio"]
    right = f["heart_offset"] * width - 0.4 * f["turn"]
    left = width - right
    floor = f["lung_height"] + f["dome_drop"] + 1.4 + f["heart_level"]
    ventricle, atrium = f["heart_round"] * width, 0.27 * width
    middle = 0.7 + 0.3 * f["turn"]
    # The base stays within the other two by enough that tilt and bend cannot make it the widest point.
    reach = np.minimum(right + middle, left - middle) - 0.8
    base = (middle, 0.40 * f["lung_height"], np.clip(reach, 1.5, 3.5))
    lower_left = (left - ventricle, floor - 1.05 * ventricle, ventricle)
    return base, lower_left, (atrium - right, floor - 1.45 * atrium, atrium)


def cone(g, a, b):
    """Two discs (x, y, radius) and the straight sides that join them.

    Returns (distance, inward), cm: the signed distance to their convex hull, positive inside; and, on the
    right of a -> b (the inner side of a clockwise polygon), the distance to the side that lies across.
    """
    bx, by = b[0] - a[0], b[1] - a[1]
    length = np.sqrt(bx * bx + by * by)
    px, py = g.x - a[0], g.y - a[1]
    along = (px * bx + py * by) / length
    across = (py * bx - px * by) / length
    sine = np.clip((a[2] - b[2]) / length, -0.95, 0.95)
    t = np.clip((along + np.abs(across) * sine / np.sqrt(1 - sine * sine)) / length, 0, 1)
    radius = a[2] + t * (b[2] - a[2])
    distance = radius - np.sqrt((along - t * length) ** 2 + across**2)
    return distance, np.where(across >= 0, radius + across, -99)


def heart(f, g):
    """Signed distance inside the cardiac silhouette and the distance at which the heart is thickest, cm."""
    base, ventricle, atrium = heart_frame(f)
    sides = [cone(g, base, ventricle), cone(g, ventricle, atrium), cone(g, atrium, base)]
    outer = np.maximum(np.maximum(sides[0][0], sides[1][0]), sides[2][0])
    middle = np.minimum(np.minimum(sides[0][1], sides[1][1]), sides[2][1])
    return np.maximum(outer, middle), ventricle[2]


def mediastinum(f, g):
    """Signed distance in cm inside the mediastinum without the heart: vena cava, knob, pulmonary trunk."""
    up = 1 / (1 + (np.maximum(g.y, 0) / 2.5) ** 2)
    left = g.side > 0
    base = np.where(left, f["mediastinum"] - 0.7, f["mediastinum"]) + np.where(left, 1.6, 1.0) * up
    base = base + 0.3 * f["turn"] * g.side
    knob_y, trunk_y = 0.30 * f["lung_height"], 0.45 * f["lung_height"]
    knob = f["knob_radius"] - np.sqrt((g.x - 1.9) ** 2 + (g.y - knob_y) ** 2)
    trunk = 2.0 - np.sqrt((g.x - 1.9 - 0.3 * f["turn"]) ** 2 + (0.6 * (g.y - trunk_y)) ** 2)
    return np.maximum(np.maximum(base - np.abs(g.x), knob), trunk)


@dataclass
class Thorax:
    """Shares of the pleural cavity along each ray, and its outlines, all [n, h, w]."""

    cavity: np.ndarray  # cm of pleural cavity, AP
    lung: np.ndarray  # cm of lung that is left by heart, mediastinum and diaphragm
    field: np.ndarray  # lung field in projection, coverage 0..1
    heart: np.ndarray  # cardiac silhouette, coverage 0..1
    wall: np.ndarray  # cm to the chest wall
    below: np.ndarray  # cm below the diaphragm's outline
    inside: np.ndarray  # ellipsoid function of the cage
    level: np.ndarray  # the same at the midline


def thorax(f, g):
    """Assembles the cavity. The lung field excludes what heart, mediastinum and diaphragm hide."""
    inside, level = cage(f, g)
    wall = cage_distance(f, g, inside)
    below = diaphragm(f, g)
    middle = mediastinum(f, g)
    cardiac, radius = heart(f, g)
    taper = 1 - f["taper"] * np.clip(g.y / f["lung_height"], 0, 1)
    cavity = 2 * f["thorax_depth"] * np.maximum(inside, 0) ** 0.55 * taper
    lost = 1 - f["recess"] + 0.35 * np.sqrt(np.maximum(below, 0))  # the lung behind thins out
    recess = 1 - lost * coverage(below, np.maximum(f["dome_blur"], g.pixel))
    width = np.maximum(4.0, middle + 1e-3)
    central = np.where(middle > 0, 9.5 * half_disc((1 - middle / width) ** 2), 0)
    heart_depth = 2 * f["heart_depth"] * half_disc(np.clip(1 - cardiac / radius, 0, None) ** 2) ** 1.9
    lung = np.maximum(cavity - np.maximum(central, heart_depth), 0) * np.clip(recess, 0, 1)
    silhouette = coverage(cardiac, g.pixel)
    p = g.pixel
    free = coverage(wall, p) * coverage(-below, p) * (1 - coverage(middle, p)) * (1 - silhouette)
    return Thorax(cavity, lung, free, silhouette, wall, below, inside, level)


def body(f, g):
    """Soft tissue along each ray in cm [n, h, w]: trunk, neck, upper arms, breasts, head where it enters."""
    ax = np.abs(g.x)
    upper = np.clip((12 - g.y) / 11, 0, 1)
    half = f["thorax_halfwidth"] + f["wall"] + 6.0 * upper
    top = g.y + f["shoulder_level"] - f["shoulder_slope"] * np.maximum(ax - f["neck_halfwidth"], 0)
    q = (ax / half) ** 2
    depth = f["body_depth"] * (1 + f["belly"] * (g.y / f["lung_height"] - 0.5))
    trunk = 2 * depth * half_disc(q * q * np.sqrt(q)) * np.clip(top / 4, 0, 1) ** 0.4
    neck_half = f["neck_halfwidth"] + 0.7 * np.clip(g.y + 7, 0, 8) ** 1.2
    neck = 3.3 * f["neck_halfwidth"] * half_disc((g.x / neck_half) ** 2) * np.clip((8 - g.y) / 6, 0, 1)
    shoulder = np.sqrt(np.sqrt(trunk**4 + arm(f, g, ax, 0)[0] ** 4))
    soft = np.maximum(shoulder, neck)
    head = half_disc((g.x / 7.0) ** 2 + ((g.y + 15.5) / 8.5) ** 2) * 15 * f["chin"]
    return np.maximum(soft, head) + breasts(f, g, ax)


def arm(f, g, ax, lift):
    """Upper arm as a capsule from shoulder to elbow: (cm of soft tissue, distance to its axis in cm)."""
    sx, sy = f["thorax_halfwidth"] + 2.6 + 0.4 * f["wall"], 2.6 - lift
    ex, ey = f["arm_spread"] + 1.5, 24.0
    px, py = ax - sx, g.y - sy
    along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0, 1)
    d2 = (px - along * ex) ** 2 + (py - along * ey) ** 2
    return 2.3 * f["arm_radius"] * half_disc(d2 / f["arm_radius"] ** 2), np.sqrt(d2)


def breasts(f, g, ax):
    """Fat and gland in front of the lower lungs: domes with a crisp inferior fold, cm of water equivalent."""
    size = f["breast_size"]
    radius = 5.0 + 3.5 * size
    y0 = 0.62 * f["lung_height"] + 2.5 * size + f["breast_level"]
    dx, dy = (ax - 0.58 * f["thorax_halfwidth"]) / radius, (g.y - y0) / (0.85 * radius)
    return 5.5 * size * half_disc(dx * dx + dy * dy) * np.clip(0.75 + 0.6 * dy, 0, 1.2)


def gastric_gas(f, g, cloud):
    """Gas under the left dome in cm along the ray [n, h, w]; zero without a bubble."""
    size = np.maximum(f["gas_present"], 1e-3)
    y0 = f["lung_height"] + f["dome_drop"] + 1.3 + 1.3 * size
    y0 = y0 + f["gas_y"]
    r2 = ((g.x - f["gas_x"]) / (2.1 * size)) ** 2 + ((g.y - y0) / (1.3 * size)) ** 2
    r2 = r2 * np.exp(0.3 * cloud)
    return np.where(f["gas_present"] > 0, 4.0 * size * half_disc(r2), 0)


def trachea(f, g):
    """Air in trachea and main bronchi in cm along the ray; the carina lies near T5, 30 % down the lung."""
    carina = 0.33 * f["lung_height"]
    spread = np.maximum(g.y - carina, 0)
    axis = np.abs(g.x - 0.3 * f["turn"] + 0.3) - 0.75 * spread
    length = coverage(carina + 3.5 - g.y, 2.0)
    return 1.3 * half_disc((axis / 0.95) ** 2) * length
