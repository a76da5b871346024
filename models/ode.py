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
LAST = {"heun": "euler", "rk4": "midpoint"}  # of the same kind, without a stage at the end of the step


def solve(
    name: str, velocity: VelocityFn, x: jax.Array, times: np.ndarray, tolerance: float = 1e-4, open_end: bool = False
) -> jax.Array:
    """x at times[-1], from x at times[0].

    Args:
      name: euler, midpoint, heun, rk4: one step between neighbours of `times`, of 1, 2, 2, 4 evaluations; adaptive:
        Tsit5 between the first and the last, all images in one step size.
      times: float64 [n + 1], rising or falling.
      tolerance: relative and absolute, of adaptive.
      open_end: the velocity is not asked at times[-1]: the last step of heun is Euler's, as in Karras et al. (2022,
        algorithm 1), that of rk4 the midpoint's. Where a flow ends in data without noise, -x / (1 - t) takes the rest
        of the noise off within the last step, and a slope at t = 1 that sees none of it leaves half of it there.

    Raises:
      ValueError: an unknown solver.
    """
    times = np.asarray(times, np.float64)
    if name == "adaptive":
        return solve_adaptive(velocity, x, float(times[0]), float(times[-1]), tolerance)
    if name not in TABLEAUS:
        raise ValueError(f"sampler {name!r} is unknown; choose one of {', '.join(SOLVERS)}")

    def weighted(by, slopes):  # at full precision, which a product of matrices has not on every device
        return jnp.tensordot(by, slopes, 1, precision=jax.lax.Precision.HIGHEST)

    def stage(carry, row):
        (x, slopes), (i, h, t, before, after) = carry, row
        slopes = slopes.at[i].set(velocity(x + h * weighted(before, slopes), t))
        return (x + h * weighted(after, slopes), slopes), None

    # A loop over all stages and not a row of calls: the network is compiled once, whatever the order.
    stages = [stage for number in range(len(times) - 1) for stage in _stages(name, times, number, open_end)]
    place, *numbers = map(np.asarray, zip(*stages, strict=True))
    slopes = jnp.zeros((len(TABLEAUS[name][1]), *x.shape), x.dtype)
    (x, _), _ = jax.lax.scan(stage, (x, slopes), (place, *(jnp.asarray(a, x.dtype) for a in numbers)))
    return x


def _stages(name: str, times: np.ndarray, number: int, open_end: bool) -> list[tuple]:
    """(its place, step size, time, weights of the slopes before it, weights that x moves by after it) of one step."""
    width, h = len(TABLEAUS[name][1]), times[number + 1] - times[number]
    rows, weights, nodes = TABLEAUS[_solver(name, number == len(times) - 2, open_end)]
    count, filled = len(weights), lambda row: np.pad(np.asarray(row, np.float64), (0, width - len(row)))
    return [
        (i, h, times[number] + h * nodes[i], filled(rows[i]), filled(weights if i == count - 1 else []))
        for i in range(count)
    ]


def _solver(name: str, last: bool, open_end: bool) -> str:
    return LAST.get(name, name) if last and open_end else name


def solve_adaptive(velocity: Callable, x, start: float, end: float, tolerance: float = 1e-4):
    """The same by Tsit5 with adapted steps, on any pytree x; diffrax raises where it does not converge."""
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, x, _: velocity(x, t)), diffrax.Tsit5(), start, end, None, x,
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance), max_steps=10_000,
    )  # fmt: skip
    return jax.tree.map(lambda a: a[0], solution.ys)


def evaluations(name: str, steps: int) -> int | None:
    """Evaluations of the velocity in `steps` steps with an open end; None where the solver decides."""
    if name not in TABLEAUS:
        return None
    each, last = (len(TABLEAUS[solver][1]) for solver in (name, _solver(name, True, True)))
    return each * (steps - 1) + last
