"""Gaussian data, for which the best denoiser, the flow and the likelihood are known in closed form."""

import jax.numpy as jnp
import numpy as np

from models.denoiser import Denoised


class Gaussian:
    """x_0 ~ N(mean, covariance) in 2 dimensions, as images [b, 2, 1, 1]."""

    mean = np.array([0.3, -0.2])
    covariance = np.array([[0.30, 0.12], [0.12, 0.20]])

    def denoise_fn(self, schedule):
        """E[x_0 | x_t], the denoiser that training converges to."""
        values, vectors = np.linalg.eigh(self.covariance)

        def denoise(x, t):
            alpha, sigma = schedule.alpha_sigma(t)
            flat = (x.reshape(-1, 2) - alpha * jnp.asarray(self.mean, x.dtype)) @ jnp.asarray(vectors, x.dtype)
            gain = alpha * values / (alpha**2 * values + sigma**2)
            x0 = (flat * gain) @ jnp.asarray(vectors.T, x.dtype) + jnp.asarray(self.mean, x.dtype)
            return Denoised(x0.reshape(x.shape).astype(x.dtype))

        return denoise

    def flow_endpoint(self, schedule, x):
        """Where the probability-flow ODE takes x (at the schedule's end): every principal axis shrinks by itself."""
        alpha, sigma = (float(a) for a in schedule.alpha_sigma(np.float64(schedule.t_max)))
        values, vectors = np.linalg.eigh(self.covariance)
        y = np.asarray(x, np.float64).reshape(-1, 2) / alpha - self.mean
        shrink = np.sqrt(values / (values + (sigma / alpha) ** 2))
        return ((y @ vectors * shrink) @ vectors.T + self.mean).reshape(x.shape)

    def log_density(self, x):
        """[b] nats."""
        d = np.asarray(x, np.float64).reshape(-1, 2) - self.mean
        _, logdet = np.linalg.slogdet(2 * np.pi * self.covariance)
        return -0.5 * (np.einsum("bi,ij,bj->b", d, np.linalg.inv(self.covariance), d) + logdet)

    def draw(self, n, seed=0):
        rng = np.random.default_rng(seed)
        return rng.multivariate_normal(self.mean, self.covariance, n).reshape(n, 2, 1, 1)
