"""What is done with a trained model: sample, evaluate, compare, measure."""


def load(folder, checkpoint: str = ""):
    """A trained run for a notebook, without its data: see `analysis.run.load`."""
    from analysis.run import load as load_run

    return load_run(folder, checkpoint)
