"""How likely a family holds the real images of a split to be, in bits a stored number (bits/dim)."""

import dataclasses
from typing import Any

import numpy as np

from analysis.evaluation.scores import plain
from analysis.evaluation.sets import patients_of
from analysis.metrics.intervals import mean_95

BATCH = 16
SEED = 0  # of dequantisation, probes and codes


def likelihood(run, dataset, split: str, n: int) -> dict[str, Any] | None:
    """{"kind", "bits_per_dim": estimate, "others": {kind: estimate}} of n images evenly over a split.

    None of a family without a density. Each kind is on average at least the negative log likelihood: the ODE's for its
    uniform dequantisation (Theis et al. 2016, eq. 7), the others as bounds. So families can be set beside each other,
    by the least loose kind of each. Intervals are Student's over the patients, and null of one.
    """
    kinds = run.family.likelihoods()
    found = {kind: _estimate(dataset, split, *_bits(run, dataset, split, n, bits)) for kind, bits in kinds.items()}
    if not found:
        return None
    first, *others = found
    return {"kind": first, "bits_per_dim": found[first], "others": {kind: found[kind] for kind in others}}


def _bits(run, dataset, split: str, n: int, bits) -> tuple[np.ndarray, np.ndarray]:
    """([n] of each image, [n] ids)."""
    import jax

    from models.cpu import jit
    from train.build import root_key

    key, state = root_key(SEED, "eval"), run.state.replace(opt_state={})
    step, parts, ids = jit(lambda state, batch: bits(state, batch, key)), [], []
    for batch in dataset.epoch(split, BATCH, limit=n):
        parts.append(np.asarray(jax.device_get(step(state, batch)))[batch["weight"] > 0])
        ids.append(batch["id"][batch["weight"] > 0])
    return np.concatenate(parts), np.concatenate(ids)


def _estimate(dataset, split: str, values: np.ndarray, ids: np.ndarray) -> dict[str, Any]:
    return plain(dataclasses.asdict(mean_95(values, patients_of(dataset, split, ids))))
