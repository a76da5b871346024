"""Our training step beside PyTorch's, of the same network, taking turns; for `analysis.bench --torch`."""

import time
from typing import Any

import numpy as np

STEPS = 3  # steps a turn


def compare(spec_name: str, args) -> dict[str, Any]:
    """Images/s of ours and of PyTorch's modes, measured in turns, and the ratio of each pair of turns.

    Args:
      spec_name: default (the network of `args.config`) or plainN (a U-Net of N channels, no stem, at 32x32).
      args: of `analysis.bench`: torch, config, repeats.

    Returns:
      {"spec", "parameters", "torch_parameters", "ours", "eager", "compile", "ratio_to_best"}: rates are medians; the
      ratio is the median over turns, with its lowest and highest.
    """
    spec = make_spec(spec_name, args)
    modes = {}
    row: dict[str, Any] = {"spec": spec_name, "unet": spec["unet"], "batch": spec["batch"]}
    ours = OurStep(spec)
    row["parameters"] = ours.parameters
    for mode in ("eager", "compile"):
        modes[mode] = _turns(ours, spec, mode, args, row)
    row["ours"] = spec["batch"] * STEPS / float(np.median(modes["eager"][0] + modes["compile"][0]))
    ratios = {mode: np.array(theirs) / np.array(mine) for mode, (mine, theirs) in modes.items()}
    for mode, (_, theirs) in modes.items():
        row[mode] = spec["batch"] * STEPS / float(np.median(theirs))
    best = min(ratios, key=lambda mode: float(np.median(ratios[mode])))
    row["best_mode"] = best
    row["ratio_to_best"] = float(np.median(ratios[best]))
    row["ratio_range"] = [float(ratios[best].min()), float(ratios[best].max())]
    return row


def make_spec(name: str, args) -> dict[str, Any]:
    """What `analysis.bench_torch` takes: shape, batch, the U-Net's fields, labels."""
    from analysis.bench import load_config

    if name == "default":
        config = load_config(args.config)
        unet = config.model.unet.to_dict() | {"out_channels": config.data.channels}
        size, channels = config.data.image_size, config.data.channels
        return {"shape": [size, size, channels], "batch": config.train.batch_size, "unet": _json(unet), "labels": 4}
    width = int(name.removeprefix("plain"))
    unet = {"out_channels": 1, "channels": width, "multipliers": [1, 2, 2], "blocks": 2, "attention": [4],
            "head_channels": 32, "norm_groups": 32}  # fmt: skip
    return {"shape": [32, 32, 1], "batch": 32, "unet": unet, "labels": 0}


class OurStep:
    """The same step as `analysis.bench_torch.TorchStep`: forward, mean squared error, backward, AdamW."""

    def __init__(self, spec: dict[str, Any]):
        import jax
        import jax.numpy as jnp
        import optax

        from models.cpu import jit
        from models.unet import UNet
        from train.build import compute_dtype

        fields = {k: tuple(v) if isinstance(v, list) else v for k, v in spec["unet"].items()}
        net = UNet(**fields, dtype=compute_dtype("auto"))
        h, w, c = spec["shape"]
        b, labels = spec["batch"], jnp.ones((spec["batch"], spec["labels"]))
        image = jax.random.normal(jax.random.key(0), (b, h, w, c))
        target = jax.random.normal(jax.random.key(1), (b, h, w, fields["out_channels"]))
        times = 1000 * jax.random.uniform(jax.random.key(2), (b,))
        optimizer = optax.adamw(1e-4)

        def step(params, opt_state):
            loss = lambda p: jnp.mean(jnp.square(net.apply({"params": p}, image, times, labels) - target))  # noqa: E731
            value, grads = jax.value_and_grad(loss)(params)
            updates, opt_state = optimizer.update(grads, opt_state, params)
            return optax.apply_updates(params, updates), opt_state, value

        params = jax.jit(net.init)(jax.random.key(3), image[:1], times[:1], labels[:1])["params"]
        self._jax, self._step = jax, jit(step, donate_argnums=(0, 1))
        self._state = (params, optimizer.init(params))
        self.parameters = sum(leaf.size for leaf in jax.tree.leaves(params))
        self.run(2)

    def run(self, n: int) -> float:
        """Takes `n` steps and returns their seconds."""
        start = time.perf_counter()
        for _ in range(n):
            *self._state, value = self._step(*self._state)
        self._jax.block_until_ready(value)
        return time.perf_counter() - start


def _turns(ours: OurStep, spec, mode: str, args, row) -> tuple[list[float], list[float]]:
    """(our seconds, theirs) turn by turn; the process that waits uses no processor time."""
    from analysis.bench_torch import Peer

    peer = Peer(spec, mode, args.torch)
    try:
        row["torch_parameters"] = peer.info["parameters"]
        peer.run(2)
        mine, theirs = [], []
        for _ in range(args.repeats):
            mine.append(ours.run(STEPS))
            theirs.append(peer.run(STEPS))
        return mine, theirs
    finally:
        peer.close()


def _json(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()}
