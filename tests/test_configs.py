"""Configs and their presets."""

import dataclasses

import pytest

from configs import datasets, ddpm_cxr, flow_cxr, flow_seg, gan_cxr, pretrain_natural, unet_seg, vae_cxr
from data import NAMES, DataOptions
from models import ddpm, flow
from models import family as families
from models.family import FAMILIES
from train.build import make_plan


@pytest.mark.parametrize("module", [flow_cxr, gan_cxr, vae_cxr, flow_seg, unet_seg], ids=lambda m: m.__name__)
@pytest.mark.parametrize("preset", ["", "nih", "folder,smoke"])
def test_every_family_takes_the_shared_presets(module, preset):
    config = module.get_config(preset or None)
    assert config.is_locked and config.data.name in NAMES and config.model.family in FAMILIES
    assert set(families.networks(config.model.family, config.model)) == set(config.optim)
    assert ("smoke" in preset) == (config.train.duration == "12 steps")


@pytest.mark.parametrize("preset", ["flat", "autoencoder", "denoising", "adversarial,smoke", "nih,flat,denoising"])
def test_presets_of_the_vae(preset):
    config = vae_cxr.get_config(preset)
    assert set(families.networks("vae", config.model)) == set(config.optim)
    assert ("discriminator" in config.optim) == ("adversarial" in preset)
    assert (config.model.groups[1] == 0) == ("flat" in preset)


@pytest.mark.parametrize("family", pretrain_natural.FAMILIES)
def test_pretraining_differs_from_the_fine_tuning_in_its_data_alone(family):
    before, after = pretrain_natural.get_config(family), pretrain_natural.FAMILIES[family].get_config()
    assert (before.data.name, before.data.channels, before.name) == ("natural", 3, f"pretrain_natural_{family}")
    assert before.is_locked and before.model == after.model and before.optim == after.optim
    assert before.data.image_size == after.data.image_size
    small = pretrain_natural.get_config(f"smoke,medmnist,{family},gray")
    assert (small.data.name, small.data.channels, small.train.duration) == ("medmnist", 1, "12 steps")


@pytest.mark.parametrize("arg", [None, "smoke", "ddpm,vae"])
def test_pretraining_needs_one_family(arg):
    with pytest.raises(ValueError, match="needs one family of ddpm, flow, gan, vae"):
        pretrain_natural.get_config(arg)


def test_segmenters_differ_in_the_objective_alone():
    flow, plain = flow_seg.get_config("nuclei"), unet_seg.get_config("nuclei")
    assert flow.data == plain.data and flow.train == plain.train and flow.optim == plain.optim
    shared = set(flow.model) & set(plain.model) - {"family"}
    assert {name: flow.model[name] for name in shared} == {name: plain.model[name] for name in shared}
    assert {"channels", "blocks", "patch", "concatenate", "dropout", "augmentation"} <= shared


@pytest.mark.parametrize("preset", ["", *datasets.PRESETS, "smoke", "chexpert_dissertation", "nih,smoke"])
def test_every_preset_gives_a_locked_config(preset):
    config = ddpm_cxr.get_config(preset or None)
    assert config.is_locked and config.data.name.partition(":")[0] in NAMES
    DataOptions(**config.data.to_dict()).check()
    with pytest.raises(AttributeError):
        config.train.batchsize = 3


def test_presets_combine_whatever_their_order():
    a, b = ddpm_cxr.get_config("nih,smoke"), ddpm_cxr.get_config("smoke,nih")
    assert a.data == b.data and a.train == b.train and a.data.name == "nih" and a.data.image_size == 32


@pytest.mark.parametrize("arg", ["smoke,chexpert_dissertation", "chexpert_dissertation,smoke"])
def test_smoke_shrinks_a_recipe_whatever_their_order(arg):
    config = ddpm_cxr.get_config(arg)
    assert (config.train.duration, config.data.image_size, config.sample.steps) == ("12 steps", 32, 4)
    assert (config.checkpoint.use, config.checkpoint.milestones) == ("latest", ())


@pytest.mark.parametrize(
    "module, arg",
    [(ddpm_cxr, "nih,chexpert_dissertation"), (flow_seg, "nuclei,phantom_mri"),
     (pretrain_natural, "ddpm,chexpert_dissertation")],
)  # fmt: skip
def test_a_recipe_of_one_dataset_is_not_combined_with_another(module, arg):
    with pytest.raises(ValueError, match="each name a dataset; choose one"):
        module.get_config(arg)
    assert ddpm_cxr.get_config("chexpert,chexpert_dissertation").data.name == "chexpert"


@pytest.mark.parametrize(
    "module, arg", [(ddpm_cxr, "nih,,smoke"), (ddpm_cxr, "smoke,"), (pretrain_natural, "gan,,nih")]
)
def test_an_empty_preset_is_refused(module, arg):
    with pytest.raises(ValueError, match=f"presets '{arg}' have a comma"):
        module.get_config(arg)


def test_unknown_and_contradicting_presets_are_refused():
    with pytest.raises(ValueError, match="preset 'nihh' is unknown; choose from .*nih"):
        ddpm_cxr.get_config("nihh")
    with pytest.raises(ValueError, match="choose one"):
        ddpm_cxr.get_config("nih,chexpert")


def test_the_data_section_is_that_of_the_options():
    assert set(ddpm_cxr.get_config().data) == {field.name for field in dataclasses.fields(DataOptions)}


def test_the_dissertation_recipe():
    """The published numbers, one by one."""
    config = ddpm_cxr.get_config("chexpert_dissertation")
    optim, model = config.optim.net, config.model
    assert (optim.learning_rate, optim.weight_decay, optim.gamma) == (1e-4, 2e-4, 0.65)
    assert optim.milestones == ("60 epochs", "75 epochs", "80 epochs") and config.train.duration == "100 epochs"
    assert (model.schedule, model.schedule_options.num_steps, model.schedule_options.rescale) == ("linear", 500, False)
    assert (config.data.image_size, config.data.channels, config.data.flip) == (128, 3, True)
    assert config.data.classes == ("Pneumonia", "Pneumothorax") and config.data.uncertain == "zeros"
    assert (config.train.accumulate, config.checkpoint.use, config.sample.steps) == (4, "75 epochs", 300)
    assert model.plain_unet.widths == (64, 128, 256, 512) and model.plain_unet.embedding == 512
    assert model.normalise == "imagenet" and config.sample.threshold == "none"


def test_the_best_checkpoint_is_by_kid_where_samples_are_scored():
    config = gan_cxr.get_config("")
    assert make_plan(config, 100).best == "samples_kid"
    assert make_plan(gan_cxr.get_config("smoke"), 100).best == "val_loss"
    config.checkpoint.best = "val_loss"
    assert make_plan(config, 100).best == "val_loss"


@pytest.mark.parametrize("config, options", [(ddpm_cxr, ddpm.SampleOptions()), (flow_cxr, flow.SampleOptions())])
def test_a_family_samples_by_default_as_its_config_does(config, options):
    sample = config.get_sample()
    assert (options.sampler, options.steps) == (sample.sampler, sample.steps)
