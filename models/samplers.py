"""Samplers: from noise to an image by a denoiser, on a fixed time grid, under `lax.scan`.

Every one-evaluation sampler is one linear update, x' = a x + b D(x) + c D(previous x) + d z, whose coefficients are
computed on the host in float64 from alpha and sigma: a sampler is a function that returns them. Heun's method is the
one with two evaluations. Time runs from noise (first) to data (last, sigma = 0), where every step returns D(x).
Each image draws from its own key, so it is the same image in whatever batch it is made.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from models import draws
from models.denoiser import DenoiseFn
from models.schedules import DiscreteVP, Schedule


class Coefficients(NamedTuple):
    """float64 [n] each; `variance_range` is [n, 2] (log posterior variance, log beta) where it may be learned."""

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    d: np.ndarray
    variance_range: np.ndarray | None = None


def time_grid(schedule: Schedule, steps: int, spacing: str = "auto", rho: float = 7.0) -> np.ndarray:
    """float64 [steps + 1] falling times, from the schedule's end to 0.

    Args:
      spacing: uniform (in t, trailing: the last step T is visited, numerics of DDIM), karras (in sigma^(1/rho), EDM
        eq. 5), logsnr (uniform in log SNR, DPM-Solver), or auto: uniform for discrete chains, karras otherwise.
    """
    if steps < 1:
        raise ValueError(f"sample.steps must be at least 1, not {steps}")
    if spacing == "auto":
        spacing = "uniform" if isinstance(schedule, DiscreteVP) else "karras"
    if spacing == "uniform":
        return _uniform_times(schedule, steps)
    ends = np.asarray([schedule.t_max, schedule.t_min], np.float64)
    alpha, sigma = schedule.alpha_sigma(ends)
    high, low = sigma / alpha
    ramp = np.linspace(0.0, 1.0, steps)
    if spacing == "karras":
        levels = (high ** (1 / rho) + ramp * (low ** (1 / rho) - high ** (1 / rho))) ** rho
    elif spacing == "logsnr":
        levels = high * (low / high) ** ramp
    else:
        raise ValueError(f"sample.spacing {spacing!r} is unknown; choose auto, uniform, karras or logsnr")
    times = schedule.time_of_noise_level(levels)
    times[0] = schedule.t_max
    return np.append(times, 0.0)


def _uniform_times(schedule: Schedule, steps: int) -> np.ndarray:
    if not isinstance(schedule, DiscreteVP):
        return np.append(np.linspace(schedule.t_max, schedule.t_min, steps), 0.0)
    if steps > schedule.num_steps:
        raise ValueError(f"sample.steps {steps} is more than the schedule's {schedule.num_steps}; ask for fewer")
    return np.round(np.linspace(schedule.num_steps, 0, steps + 1)) / schedule.num_steps


def ddpm(alpha: np.ndarray, sigma: np.ndarray, variance: str = "small") -> Coefficients:
    """Ancestral sampling by q(x_s | x_t, x_0) (Ho et al. 2020, eq. 6-7), between any two times.

    Args:
      alpha, sigma: float64 [n + 1] along the grid.
      variance: small (the posterior's), large (beta), or learned (between the two, read off the denoiser).
    """
    (alpha_t, alpha_s), (sigma_t, sigma_s) = _pairs(alpha), _pairs(sigma)
    ratio = alpha_t / alpha_s
    beta = sigma_t**2 - ratio**2 * sigma_s**2
    posterior = beta * sigma_s**2 / sigma_t**2
    a, b = ratio * sigma_s**2 / sigma_t**2, alpha_s * beta / sigma_t**2
    if variance not in ("small", "large", "learned"):
        raise ValueError(f"sample.variance {variance!r} is unknown; choose small, large or learned")
    noise = np.sqrt(beta if variance == "large" else posterior)
    noise[-1] = 0.0  # the last step is the mean
    bounds = np.stack([np.log(clip_first(posterior[::-1])[::-1]), np.log(beta)], -1) if variance == "learned" else None
    return Coefficients(a, b, np.zeros_like(a), noise, bounds)


def clip_first(posterior: np.ndarray) -> np.ndarray:
    """Posterior variances in rising time, the first (which is 0) replaced by the second (iDDPM's clipping)."""
    out = np.array(posterior, np.float64)
    out[0] = out[1] if len(out) > 1 else np.finfo(np.float32).tiny
    return out


def ddim(alpha: np.ndarray, sigma: np.ndarray, eta: float = 0.0) -> Coefficients:
    """DDIM (Song et al. 2021, eq. 12 and 16); eta = 1 is ancestral, eta = 0 deterministic."""
    (alpha_t, alpha_s), (sigma_t, sigma_s) = _pairs(alpha), _pairs(sigma)
    beta = sigma_t**2 - (alpha_t / alpha_s) ** 2 * sigma_s**2
    noise = eta * np.sqrt(beta) * sigma_s / sigma_t
    a = np.sqrt(np.maximum(sigma_s**2 - noise**2, 0.0)) / sigma_t
    return Coefficients(a, alpha_s - a * alpha_t, np.zeros_like(a), noise)


def dpmpp(alpha: np.ndarray, sigma: np.ndarray) -> Coefficients:
    """DPM-Solver++(2M), midpoint (Lu et al. 2022, algorithm 2); first and last steps are of first order."""
    (_, alpha_s), (sigma_t, sigma_s) = _pairs(alpha), _pairs(sigma)
    gain = -alpha_s * np.expm1(-_log_snr_steps(alpha, sigma))
    return _two_steps(Coefficients(sigma_s / sigma_t, gain, np.zeros_like(gain), np.zeros_like(gain)), alpha, sigma)


def dpmpp_sde(alpha: np.ndarray, sigma: np.ndarray) -> Coefficients:
    """SDE-DPM-Solver++(2M), midpoint (Lu et al. 2022): `dpmpp` with noise.

    Its step of first order is the ancestral one, which in few steps leaves images of too little variance; what the last
    denoised image adds makes that error of second order too.
    """
    return _two_steps(ddpm(alpha, sigma), alpha, sigma)


def _two_steps(first: Coefficients, alpha: np.ndarray, sigma: np.ndarray) -> Coefficients:
    """A step of first order with the denoised image extrapolated in log SNR to the middle of the step."""
    h = _log_snr_steps(alpha, sigma)
    extra = np.zeros_like(first.b)
    extra[1:-1] = first.b[1:-1] * h[1:-1] / (2.0 * h[:-2])  # 1 / (2 r) with r the ratio of the last step to this one
    return first._replace(b=first.b + extra, c=-extra)


def _log_snr_steps(alpha: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """How much log(alpha / sigma) rises in each step; the last is infinite."""
    with np.errstate(divide="ignore"):
        return np.diff(np.log(alpha) - np.log(sigma))


def euler(alpha: np.ndarray, sigma: np.ndarray) -> Coefficients:
    """Euler on the probability-flow ODE, d(x/alpha) / d(sigma/alpha) = (x/alpha - D) / (sigma/alpha)."""
    return ddim(alpha, sigma, eta=0.0)  # the two are the same update (Karras et al. 2022, appendix C)


def em(alpha: np.ndarray, sigma: np.ndarray) -> Coefficients:
    """Euler-Maruyama on the reverse SDE of x / alpha, whose variance is (sigma / alpha)^2 (Song et al. 2021, eq. 6)."""
    (alpha_t, alpha_s), (sigma_t, sigma_s) = _pairs(alpha), _pairs(sigma)
    before, after = (sigma_t / alpha_t) ** 2, (sigma_s / alpha_s) ** 2
    pull = (before - after) / before
    noise = alpha_s * np.sqrt(before - after)
    noise[-1] = 0.0  # the last step denoises
    return Coefficients((1.0 - pull) * alpha_s / alpha_t, pull * alpha_s, np.zeros_like(pull), noise)


LINEAR = {"ddpm": ddpm, "ddim": ddim, "dpmpp": dpmpp, "dpmpp_sde": dpmpp_sde, "euler": euler, "em": em}
SAMPLERS = (*LINEAR, "heun")


def sample(
    name: str, denoise: DenoiseFn, schedule: Schedule, times: np.ndarray, x: jax.Array, keys: jax.Array, **options
) -> jax.Array:
    """Draws images by the sampler called `name`.

    Args:
      denoise: D(x [b, h, w, c], t scalar) -> Denoised.
      times: float64 [n + 1], see `time_grid`.
      x: [b, h, w, c] unit normal noise.
      keys: [b] one key an image, for the samplers that add noise.
      **options: the sampler's own (eta, variance).

    Returns:
      [b, h, w, c] images at t = 0.

    Raises:
      ValueError: an unknown sampler, or an option that it does not take.
    """
    alpha, sigma = schedule.alpha_sigma(np.asarray(times, np.float64))
    # A variance-preserving chain starts from N(0, I), as published, also where it does not quite end there.
    x = x * (1.0 if schedule.unit_variance else float(sigma[0]))
    if name == "heun":
        return _heun(denoise, times, alpha, sigma, x)
    if name not in LINEAR:
        raise ValueError(f"sampler {name!r} is unknown; choose one of {', '.join(SAMPLERS)}")
    return _linear(denoise, times, LINEAR[name](alpha, sigma, **options), x, keys)


def evaluations(name: str, steps: int) -> int:
    """Evaluations of the denoiser in so many steps."""
    return 2 * steps - 1 if name == "heun" else steps


def _linear(denoise: DenoiseFn, times, coefficients: Coefficients, x, keys) -> jax.Array:
    learned = coefficients.variance_range is not None
    stochastic = learned or bool(np.any(coefficients.d))

    def step(carry, row):
        x, previous = carry
        out = denoise(x, row["t"])
        new = row["a"] * x + row["b"] * out.x0 + row["c"] * previous
        if stochastic:
            scale = row["d"]
            if learned:
                low, high = row["range"]
                scale = jnp.where(scale > 0, jnp.exp(0.5 * (low + out.fraction * (high - low))), 0.0)
            new += scale * unit_noise(keys, row["index"], x)
        return (new, out.x0), None

    rows = {"t": times[:-1], "a": coefficients.a, "b": coefficients.b, "c": coefficients.c, "d": coefficients.d}
    if learned:
        rows["range"] = np.stack([*coefficients.variance_range.T], -1)
    rows = {name: jnp.asarray(value, x.dtype) for name, value in rows.items()}
    rows["index"] = jnp.arange(len(times) - 1)
    (x, _), _ = jax.lax.scan(step, (x, jnp.zeros_like(x)), rows)
    return x


def _heun(denoise: DenoiseFn, times, alpha, sigma, x) -> jax.Array:
    """Heun's second order on the same ODE as `euler` (Karras et al. 2022, algorithm 1): 2 n - 1 evaluations."""
    level = sigma / alpha

    def slope(y, row, end):
        return (y - denoise(y * row["alpha" + end], row["t" + end]).x0) / row["level" + end]

    def step(y, row):
        h = row["level_s"] - row["level_t"]
        first = slope(y, row, "_t")
        second = slope(y + h * first, row, "_s")
        return y + 0.5 * h * (first + second), None

    named = {"t": np.asarray(times), "alpha": alpha, "level": level}
    rows = {f"{k}_t": v[:-2] for k, v in named.items()} | {f"{k}_s": v[1:-1] for k, v in named.items()}
    rows = {name: jnp.asarray(value, x.dtype) for name, value in rows.items()}
    y, _ = jax.lax.scan(step, x / float(alpha[0]), rows)
    last = len(times) - 2
    return denoise(y * float(alpha[last]), jnp.asarray(times[last], x.dtype)).x0


def unit_noise(keys, index, like) -> jax.Array:
    """Unit normal noise [b, h, w, c] of step `index`, each image from its own key."""
    return draws.normal(draws.fold(keys, index), like.shape[1:], like.dtype)


def _pairs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(at t, at s) for every step t -> s of the grid."""
    return values[:-1], values[1:]
