"""Codes of a VAE: read off images, walked between, and moved unit by unit."""

from typing import Any

import numpy as np

STEPS, PAIRS, UNITS = 8, 6, 8
WALKS = ("interpolation", "traversal")


def read_codes(run, dataset, split: str, n: int, told: bool = True, reader: str = "codes") -> dict[str, Any]:
    """{"codes": [[n, h, w, latent] of each group], "label": [n, k], "id": [n]} of at most n images of a split.

    `reader` names the family's method: codes, or shifts (relative to what the prior already says).

    With `told` false the network is told of no finding in any image, so that what a code says of them is read off the
    image: the posterior, like the prior that it is relative to, depends on the label.
    """
    from models.cpu import jit

    encode = jit(lambda state, batch: getattr(run.family, reader)(state, batch))
    state, codes, labels, ids = run.state.replace(opt_state={}), [], [], []
    for batch in dataset.epoch(split, 64, limit=n):
        real = batch["weight"] > 0
        label = batch["label"] if told else np.zeros_like(batch["label"])
        part = encode(state, {"image": batch["image"], "label": label})
        codes.append([np.asarray(group)[real] for group in part])
        labels.append(batch["label"][real])
        ids.append(batch["id"][real])
    found = [np.concatenate(group) for group in zip(*codes, strict=True)]
    return {"codes": found, "label": np.concatenate(labels), "id": np.concatenate(ids)}


def coarsest(codes: list[np.ndarray]) -> tuple[np.ndarray, int]:
    """([n, h, w, c], number): the codes of the coarsest level's groups side by side, and how many groups they are."""
    number = sum(group.shape[1:3] == codes[0].shape[1:3] for group in codes)
    return np.concatenate(codes[:number], axis=-1), number


def interpolation(run, read) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """(images, labels, captions) between the codes of neighbouring images of `read`, at most PAIRS rows of STEPS.

    Each row keeps its first image's label.
    """
    share = np.linspace(0.0, 1.0, STEPS)
    pairs = min(PAIRS, len(read["label"]) // 2)
    codes, wide = [], share[None, :, None, None, None]
    for group in read["codes"]:
        a, b = group[0 : 2 * pairs : 2, None], group[1 : 2 * pairs : 2, None]
        codes.append(((1 - wide) * a + wide * b).reshape(-1, *group.shape[1:]))
    labels = read["label"][0 : 2 * pairs : 2].repeat(STEPS, axis=0)
    return _decode(run, codes, labels), labels, [f"{s:.2f}" for s in share] * pairs


def traversal(run, read) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """(images, labels, captions) of the first image with one unit of the coarsest level moved from -3 to 3 deviations.

    A row for each of the UNITS most active units.
    """
    coarse, number = coarsest(read["codes"])
    mean, spread = coarse.mean(0).ravel(), coarse.std(0).ravel()
    units, shift = np.argsort(-spread)[:UNITS], np.linspace(-3, 3, STEPS)
    moved = np.repeat(coarse[:1], len(units) * STEPS, axis=0).reshape(len(units), STEPS, -1)
    for row, unit in enumerate(units):
        moved[row, :, unit] = mean[unit] + shift * spread[unit]
    count = len(units) * STEPS
    codes = np.split(moved.reshape(count, *coarse.shape[1:]), number, axis=-1)
    codes += [g[:1].repeat(count, axis=0) for g in read["codes"][number:]]
    labels = read["label"][:1].repeat(count, axis=0)
    return _decode(run, codes, labels), labels, [f"unit {unit}: {s:+.1f}" for unit in units for s in shift]


def _decode(run, codes, label) -> np.ndarray:
    import jax.numpy as jnp

    from data.ranges import to_uint
    from models.cpu import jit

    decode = jit(lambda state, codes, label: run.family.decode(state, codes, label))
    codes = [jnp.asarray(c, jnp.float32) for c in codes]
    return to_uint(np.asarray(decode(run.state.replace(opt_state={}), codes, jnp.asarray(label))), run.info.bits)
