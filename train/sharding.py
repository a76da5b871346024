"""One mesh with the axes `data` and `fsdp`, and where arrays lie on it."""

import math

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from data import UserError

MIN_SHARDED = 2**14  # elements; below, a copy on every device costs less than gathering


def make_mesh(fsdp: int) -> Mesh:
    """All devices as (data, fsdp).

    Raises:
      UserError: `fsdp` does not divide the number of devices.
    """
    devices = np.asarray(jax.devices())
    if fsdp < 1 or len(devices) % fsdp:
        raise UserError(f"config.mesh.fsdp={fsdp} does not divide the {len(devices)} devices; choose a divisor")
    return Mesh(devices.reshape(-1, fsdp), ("data", "fsdp"))


def mesh_here(fsdp: int) -> Mesh:
    """The mesh of a run that was trained on other devices: split over as many of these as divide both numbers."""
    return make_mesh(math.gcd(fsdp, len(jax.devices())))


def check_batch(batch_size: int, accumulate: int, mesh: Mesh) -> None:
    """Every micro-batch must split over all devices.

    Raises:
      UserError: it does not.
    """
    devices = mesh.size
    if accumulate < 1 or batch_size % (accumulate * devices):
        raise UserError(
            f"config.train.batch_size={batch_size} is not divisible by config.train.accumulate={accumulate} times "
            f"the {devices} devices of the mesh; choose a multiple of {max(accumulate, 1) * devices}"
        )


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Batches are split over both axes."""
    return NamedSharding(mesh, P(("data", "fsdp")))


def replicated(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, P())


def state_shardings(shapes, mesh: Mesh):
    """Large arrays are split over `fsdp` along their longest divisible dimension; the rest is copied."""
    parts = mesh.shape["fsdp"]

    def place(leaf):
        if parts == 1 or leaf.size < MIN_SHARDED:
            return replicated(mesh)
        order = np.argsort(leaf.shape)[::-1]
        axis = next((int(a) for a in order if leaf.shape[a] % parts == 0), None)
        if axis is None:
            return replicated(mesh)
        return NamedSharding(mesh, P(*["fsdp" if a == axis else None for a in range(leaf.ndim)]))

    return jax.tree.map(place, shapes)


def put_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """This host's share of a batch -> global arrays on the mesh."""
    place = batch_sharding(mesh)
    return {name: jax.make_array_from_process_local_data(place, value) for name, value in batch.items()}


def put_whole(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """A batch that every host has whole -> global arrays on the mesh, of which each host gives its part."""
    place = batch_sharding(mesh)
    return {name: jax.make_array_from_callback(value.shape, place, value.__getitem__) for name, value in batch.items()}
