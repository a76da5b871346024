"""ODE solvers for dx/dt = v(x, t): Runge-Kutta on a fixed grid under `lax.scan`, and adaptive through diffrax."""

from collections.abc import Callable

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

VelocityFn = Callable[[jax.Array, jax.Array], jax.Array]  # (x [b, ...], t []) -> [b, ...]

# Butcher tableaus: rows of A below the diagonal, weights b, nodes c; the order of each is tested.
TABLEAUS = {
    "euler": ([[]], [1.0], [0.0]),
    "midpoint": ([[], [0.5]], [0.0, 1.0], [0.0, 0.5]),
    "heun": ([[], [1.0]], [0.5, 0.5], [0.0, 1.0]),
    "rk4": ([[], [0.5], [0.0, 0.5], [0.0, 0.0, 1.0]], [1 / 6, 1 / 3, 1 / 3, 1 / 6], [0.0, 0.5, 0.5, 1.0]),
}
SOLVERS = (*TABLEAUS, "adaptive")


def solve(name: str, velocity: VelocityFn, x: jax.Array, times: np.ndarray, tolerance: float = 1e-4) -> jax.Array:
    """x at times[-1], from x at times[0].

    Args:
      name: euler, midpoint, heun, rk4: one step between neighbours of `times`, of 1, 2, 2, 4 evaluations; adaptive:
        Tsit5 between the first and the last, all images in one step size.
      times: float64 [n + 1], rising or falling.
      tolerance: relative and absolute, of adaptive.

    Raises:
      ValueError: an unknown solver.
    """
    times = np.asarray(times, np.float64)
    if name == "adaptive":
        return solve_adaptive(velocity, x, float(times[0]), float(times[-1]), tolerance)
    if name not in TABLEAUS:
        raise ValueError(f"sampler {name!r} is unknown; choose one of {', '.join(SOLVERS)}")
    rows, weights, nodes = TABLEAUS[name]
    count = len(weights)
    matrix = jnp.asarray([row + [0.0] * (count - len(row)) for row in rows], x.dtype)
    steps = np.diff(times)
    stages = times[:-1, None] + steps[:, None] * np.asarray(nodes)

    def weighted(by, slopes):  # at full precision, which a product of matrices has not on every device
        return jnp.tensordot(by, slopes, 1, precision=jax.lax.Precision.HIGHEST)

    def step(x, row):
        h, stage_times = row

        def stage(slopes, of_stage):
            i, coefficients, t = of_stage
            slope = velocity(x + h * weighted(coefficients, slopes), t)
            return slopes.at[i].set(slope), None

        # A loop and not a row of calls: the network is compiled once, whatever the order.
        slopes = jnp.zeros((count, *x.shape), x.dtype)
        slopes, _ = jax.lax.scan(stage, slopes, (jnp.arange(count), matrix, stage_times))
        return x + h * weighted(jnp.asarray(weights, x.dtype), slopes), None

    x, _ = jax.lax.scan(step, x, (jnp.asarray(steps, x.dtype), jnp.asarray(stages, x.dtype)))
    return x


def solve_adaptive(velocity: Callable, x, start: float, end: float, tolerance: float = 1e-4):
    """The same by Tsit5 with adapted steps, on any pytree x; diffrax raises where it does not converge."""
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, x, _: velocity(x, t)), diffrax.Tsit5(), start, end, None, x,
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance), max_steps=10_000,
    )  # fmt: skip
    return jax.tree.map(lambda a: a[0], solution.ys)


def evaluations(name: str, steps: int) -> int | None:
    """Evaluations of the velocity in `steps` steps; None where the solver decides."""
    return steps * len(TABLEAUS[name][1]) if name in TABLEAUS else None
