"""`--dry-run`: parameters, memory and time per step, without a run directory."""

import time

import jax
import ml_collections
from clu import parameter_overview
from jax.sharding import Mesh

from data.dataset import Dataset
from models.family import Family
from train import build, sharding
from train.fine_tune import Start, counts, in_words

STEPS = 5


def report(
    config: ml_collections.ConfigDict, dataset: Dataset, family: Family, mesh: Mesh, start: Start | None = None
) -> None:
    """Compiles the training step, takes a few steps on real batches and prints what they need."""
    state = build.init_state(family, dataset.info, mesh, config.seed)
    for name, params in state.params.items():
        print(f"network {name}:")
        print(parameter_overview.get_parameter_overview(params, include_stats=False))
    total = sum(parameter_overview.count_parameters(p) for p in state.params.values())
    batches = dataset.batches("train", config.train.batch_size, config.seed, raw=True)
    step = build.jit_train_step(family, dataset.info, mesh, build.root_key(config.seed, "train"))
    clock = time.perf_counter()
    compiled = step.lower(state, sharding.put_batch(batches[0], mesh)).compile()
    compile_seconds = time.perf_counter() - clock
    seconds = _time_steps(compiled, state, batches, mesh)
    plan = build.make_plan(config, dataset.info.sizes["train"])
    memory = compiled.memory_analysis()
    used = memory.temp_size_in_bytes + memory.argument_size_in_bytes + memory.output_size_in_bytes
    used -= memory.alias_size_in_bytes
    print(f"data: {dataset.info.name}, {dataset.info.sizes}, image {dataset.info.image_shape}")
    print(f"parameters: {total:,}" + (f" ({in_words(counts(start))})" if start else ""))
    print(f"memory of a step: {used / 2**20:,.0f} MiB a device on {mesh.size} device(s)")
    print(f"compile: {compile_seconds:.1f} s")
    rate = config.train.batch_size / seconds
    print(
        f"step: {seconds * 1000:.0f} ms, {rate:.0f} images/s; {plan.total} steps: {plan.total * seconds / 60:.1f} min"
    )


def _time_steps(compiled, state, batches, mesh) -> float:
    """Median seconds of a step; the first is left out."""
    times = []
    for index in range(STEPS + 1):
        batch = sharding.put_batch(batches[index], mesh)
        start = time.perf_counter()
        state, scalars = compiled(state, batch)
        jax.block_until_ready(scalars)
        times.append(time.perf_counter() - start)
    return sorted(times[1:])[STEPS // 2]
