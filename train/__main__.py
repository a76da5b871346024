"""python -m train --config configs/X.py[:preset,preset] [--workdir DIR] [--dry-run] [--config.field=value ...]"""

import os
import signal
import sys
from pathlib import Path

from absl import flags

from data import UserError, load
from data.options import DataOptions
from train.cli import guarded, parse_config
from train.progress import say


def main() -> int:
    """Trains, or goes on with, one run; returns the exit status."""
    config, values = parse_config(sys.argv, define_flags)
    _prepare_backend(config, values.distributed)
    # Imported here: a mistake on the command line is answered before JAX is loaded.
    from train import begin, build, loop, resume, rundir, sharding
    from train.values import check_values

    check_values(config)
    folder = Path(values.workdir or Path("runs") / config.name)
    mesh = sharding.make_mesh(config.mesh.fsdp)
    sharding.check_batch(config.train.batch_size, config.train.accumulate, mesh)
    build.compute_dtype(config.precision)
    dataset = load(DataOptions(**config.data.to_dict()))
    # A run goes on with the means and the covariance that it began with, to the bit.
    means = rundir.read_label_means(folder, dataset.info) or dataset.label_means()
    covariance = rundir.read_covariance(folder, dataset.info) or build.covariance_of(config, dataset)
    start = begin.prepare(config, folder, dataset.info, means, covariance)
    family = build.build_family(config, dataset.info, means, start, covariance)
    begin.tell(start)
    if values["dry-run"].value:
        from train.dry_run import report

        report(config, dataset, family, mesh, start)
        return 0
    from analysis.evaluators import build_evaluators

    build.state_shapes(family, dataset.info, mesh)
    evaluators = build_evaluators(config, family, dataset, mesh, folder)
    with rundir.locked(folder):
        plain = rundir.to_plain(config)
        rundir.check_config(folder, plain)
        resume.check(folder, config, dataset.info.sizes["train"])
        rundir.open_run(folder, plain)
        begin.record(folder, start)
        if not rundir.record_provenance(folder, dataset, start and start.facts, covariance):
            say("warning: the images are not those that this run was first started with; the run goes on with the new")
        try:
            first = start.begin if start else begin.unchanged
            summary = loop.run(config, folder, dataset, family, mesh, evaluators, first)
        except loop.Interrupted as stop:
            say(f"{stop}; the same command goes on from there")
            return 130 if stop.signum == signal.SIGINT else 0
    _tell(summary, folder)
    return 0


def define_flags(values: flags.FlagValues) -> None:
    """The flags of this command beside its config."""
    flags.DEFINE_string("workdir", "", "run directory; default runs/NAME", flag_values=values)
    flags.DEFINE_boolean("dry-run", False, "print parameters, memory and time per step, and stop", flag_values=values)
    flags.DEFINE_boolean("distributed", False, "one of several hosts: jax.distributed.initialize()", flag_values=values)


def _prepare_backend(config, distributed: bool) -> None:
    """What must be set before JAX touches a device."""
    if config.deterministic:
        chosen = "--xla_gpu_deterministic_ops=true --xla_gpu_autotune_level=0"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {chosen}".strip()
    import jax

    if config.compilation_cache:
        jax.config.update("jax_compilation_cache_dir", os.path.abspath(config.compilation_cache))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    if distributed:
        try:
            jax.distributed.initialize()
        except (ValueError, RuntimeError) as error:
            raise UserError(f"--distributed: {error}") from error


def _tell(summary: dict, folder: Path) -> None:
    """The result on stdout."""
    metrics = "  ".join(f"{k} {v:.4g}" for k, v in summary["metrics"].items())
    print(f"finished: step {summary['step']}, {summary['images']} images  {metrics}")
    grids = sorted((folder / "samples").glob("*.png"))
    if grids:
        print(f"samples: {grids[-1]}")
    print(f"run: {folder}")


if __name__ == "__main__":
    guarded(main)
