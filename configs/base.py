"""The fields that every experiment shares, with their units, and how presets are applied.

A duration is a string of a number and a unit: "2000 steps", "30 epochs" or "1000000 images".
"""

from collections.abc import Callable

import ml_collections
from ml_collections.config_dict import placeholder

from configs import datasets

Config = ml_collections.ConfigDict
Preset = Callable[[Config], None]


def get_base() -> Config:
    """Everything but `model` and `sample`, which belong to the family's own config."""
    config = Config()
    config.name = ""  # run directory below runs/; filled in from the config's name and its presets
    config.seed = 0  # of everything random in the run
    config.data = datasets.get_data()
    config.train = get_train()
    config.optim = Config()  # network -> get_optimizer(); a GAN has two
    config.ema = get_ema()
    config.init = get_init()
    config.eval = get_eval()
    config.checkpoint = get_checkpoint()
    config.mesh = Config()
    config.mesh.fsdp = 1  # devices that share one copy of the parameters; the rest of them copy it
    config.precision = "auto"  # float32, bfloat16, float16 (scales the loss), auto: bfloat16 on accelerators
    config.deterministic = False  # on a GPU: only deterministic operations, autotuning off; a CPU always is
    config.compilation_cache = ".cache/jax"  # folder of compiled programs, kept between runs; "" keeps none
    return config


def get_train() -> Config:
    train = Config()
    train.batch_size = 32  # images an optimiser step, over all devices and micro-batches
    train.accumulate = 1  # micro-batches a step; the gradient is that of the whole batch
    train.duration = "2000 steps"  # of the whole run
    train.log_every = "50 steps"  # scalars are averaged over this many steps
    train.restart_at = ""  # rehearsal: there, save, forget everything, and go on from the checkpoint; "" never
    return train


def get_optimizer() -> Config:
    optim = Config()
    optim.name = "adamw"  # adam, adamw, lion, sgd, rmsprop
    optim.learning_rate = 3e-4  # at its highest
    optim.schedule = "constant"  # after the warm-up: constant, cosine (to 0 at the end) or multistep
    optim.warmup = "100 steps"  # linear from next to nothing
    optim.milestones = ()  # durations; multistep multiplies the rate by `gamma` at each
    optim.gamma = 0.1  # factor of multistep
    optim.weight_decay = 0.0  # adamw and lion: decoupled; on kernels only, see decay_all
    optim.decay_all = False  # decay biases, norms and embeddings too, as PyTorch's default does
    optim.clip = 1.0  # global norm that gradients are clipped to; 0 is off
    optim.b1 = 0.9  # first moment
    optim.b2 = 0.99  # second moment
    optim.epsilon = 1e-8  # added to the denominator
    optim.momentum = 0.9  # sgd and rmsprop
    return optim


def get_ema() -> Config:
    ema = Config()
    ema.halflife_images = 500_000.0  # half-life in images, so it does not depend on the batch size; 0 keeps no average
    ema.rampup = 0.05  # early on, the half-life is at most this share of the images seen
    return ema


def get_init() -> Config:
    """Fine-tuning, see docs/fine_tuning.md. Optimiser, warm-up and average begin anew."""
    init = Config()
    init.source = ""  # begin from: a run directory, a checkpoint, published weights (.safetensors, .pth); "" nothing
    init.checkpoint = ""  # of the source: latest, best, a step, a duration; "" is what the source itself would use
    init.average = True  # take the source's moving average, where it has one; else its raw weights
    init.train = "all"  # all; head; lora (adapters); freezed (all but a discriminator's first levels)
    init.rate = 1.0  # factor on the learning rate of what comes from the source; what is new has the full rate
    init.freeze_levels = 2  # freezed: levels that stay, counted from the image, and the stem before them
    init.lora_rank = 8  # lora: rank of each adapter
    init.lora_alpha = 8.0  # lora: an adapter's product is scaled by alpha / rank
    return init


def get_eval() -> Config:
    config = Config()
    config.every = "500 steps"  # how often the validation split is scored; "" never
    config.batch_size = 64  # images a validation batch
    config.max_images = 1024  # validation images scored; 0 is all
    config.preview_every = "500 steps"  # how often a grid of samples is drawn; "" only at the end
    config.kid_every = ""  # how often samples are scored by KID against the validation split; "" never
    config.kid_images = 256  # samples of that, and validation images at most
    config.preview_images = 16  # images of a preview
    config.final_images = 64  # images of the grid at the end
    return config


def get_checkpoint() -> Config:
    checkpoint = Config()
    checkpoint.every = "500 steps"  # how often the state is saved
    checkpoint.keep = 2  # newest checkpoints kept; of 1, too, the one before it stays
    checkpoint.keep_best = 1  # best ones kept beside them
    checkpoint.best = ""  # scalar that the best has least of; "" is samples_kid with eval.kid_every, else val_loss
    checkpoint.milestones = ()  # durations whose checkpoints are kept for good, such as ("75 epochs",)
    checkpoint.use = "latest"  # which one sampling takes: latest, best, or a duration of `milestones`
    return checkpoint


def finish(config: Config, arg: str | None, presets: dict[str, Preset]) -> Config:
    """Applies the presets named in `arg` (comma-separated) and locks the config.

    Whatever their order there, dataset presets come first and `smoke` last, since it shrinks what the others set.

    Raises:
      ValueError: an unknown or empty preset, or two datasets at once.
    """
    known, names = datasets.PRESETS | presets, preset_names(arg)
    for name in names:
        if name not in known:
            raise ValueError(f"preset {name!r} is unknown; choose from {', '.join(sorted(known))}")
    chosen = [name for name in names if name in datasets.PRESETS]
    if len(chosen) > 1:
        raise _two_datasets(chosen)
    for name in sorted(names, key=lambda name: (name == "smoke", name not in datasets.PRESETS)):
        before = config.data.name
        known[name](config)
        if chosen and name not in chosen and config.data.name != before:  # a recipe that is of one dataset
            raise _two_datasets([*chosen, name])
    config.name = "_".join([config.name, *names])
    config.lock()
    return config


def preset_names(arg: str | None) -> list[str]:
    """The names in what stands behind a config file's colon; none where nothing stands there.

    Raises:
      ValueError: a comma with no name beside it.
    """
    names = arg.split(",") if arg else []
    if "" in names:
        raise ValueError(f"presets {arg!r} have a comma with no name beside it; leave it out")
    return names


def _two_datasets(names: list[str]) -> ValueError:
    return ValueError(f"presets {' and '.join(names)} each name a dataset; choose one")


def shrink(config: Config) -> None:
    """What every `:smoke` has in common: the whole path in seconds, results worth nothing."""
    config.data.image_size = 32
    config.data.num_images = 320
    config.train.duration = "12 steps"
    config.train.batch_size = 8
    config.train.accumulate = 2
    config.train.log_every = "4 steps"
    config.train.restart_at = "6 steps"
    config.eval.every = "6 steps"
    config.eval.batch_size = 16
    config.eval.max_images = 32
    config.eval.preview_every = ""
    config.eval.kid_every = ""
    config.eval.preview_images = 4
    config.eval.final_images = 4
    config.checkpoint.every = "6 steps"
    config.checkpoint.milestones, config.checkpoint.use = (), "latest"  # a recipe's lie beyond these steps


__all__ = ["Config", "Preset", "finish", "get_base", "get_optimizer", "placeholder", "preset_names", "shrink"]
