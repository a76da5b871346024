"""Fields of the networks that predict an image from a noisy one, shared by the families that have one."""

from configs.base import Config, placeholder


def get_unet() -> Config:
    unet = Config()
    unet.channels = 96  # of the first level
    unet.multipliers = (1, 2)  # channels of each level, in units of `channels`
    unet.blocks = 2  # residual blocks a level
    unet.attention = (2,)  # downsampling factors, on the network's grid, that have self-attention
    unet.heads = 1  # attention heads, where head_channels is None
    unet.head_channels = 32  # channels of an attention head; None: heads decides
    unet.attention_layout = "split"  # separate (diffusers), split or legacy (guided-diffusion)
    unet.mid_attention = True  # attention in the middle
    unet.mid_attention_norm = True  # a norm before it
    unet.dropout = 0.0  # rate
    unet.patch = 8  # space-to-depth factor of the stem: 8 makes a grid of 8x8 of an image of 64x64
    unet.local_channels = 32  # width of a residual block before and after the levels, near full size; 0 has none
    unet.local_patch = 2  # space-to-depth factor of these two
    unet.scale_shift = True  # adaptive group norm; else the embedding is added
    unet.norm_groups = 8  # of every group norm; the published layouts have 32, at more channels
    unet.norm_epsilon = 1e-5  # of every group norm
    unet.resblock_updown = False  # resample inside residual blocks
    unet.conv_resample = True  # resampling layers have a convolution
    unet.downsample_padding = 1  # 0 is diffusers' asymmetric one
    unet.time_order = "cos_sin"  # or sin_cos
    unet.freq_shift = 0.0  # 1 in Ho et al.
    unet.max_period = 10_000.0  # of the time embedding
    unet.embedding_multiple = 4  # width of the embedding, in units of `channels`
    unet.fourier = placeholder(float)  # scale of random Fourier features in place of the sinusoid
    unet.residual_scale = 1.0  # factor on the sum of every residual block
    unet.mid_residual_scale = 1.0  # the same in the middle
    unet.skip_scale = 1.0  # factor on skip connections
    unet.remat = False  # recompute activations in the backward pass: less memory, a third more time
    return unet


def get_plain_unet() -> Config:
    plain = Config()
    plain.widths = (64, 128, 256, 512)  # channels of each level
    plain.embedding = 512  # width of the label and time embedding
    plain.dropout = 0.0  # rate, within every level
    plain.spectral = 0  # power iterations of the spectral normalisation of the convolutions; 0 is none
    plain.remat = False  # recompute activations in the backward pass
    return plain


def ddpm_cifar10(config: Config) -> None:
    """The network and chain of Ho et al. (2020), as google/ddpm-cifar10-32 publishes it for diffusers' UNet2DModel."""
    _published(config, "linear")
    unet = config.model.unet
    unet.channels, unet.multipliers, unet.blocks, unet.attention = 128, (1, 2, 2, 2), 2, (2,)
    unet.attention_layout, unet.head_channels, unet.scale_shift = "separate", None, False
    unet.norm_epsilon, unet.downsample_padding, unet.time_order, unet.freq_shift = 1e-6, 0, "sin_cos", 1.0
    config.data.image_size = 32


def imagenet64(config: Config) -> None:
    """Class-conditional ImageNet at 64x64 of guided-diffusion (Dhariwal and Nichol 2021), its 64x64_diffusion.pt."""
    _published(config, "cosine")
    unet = config.model.unet
    unet.channels, unet.multipliers, unet.blocks, unet.attention = 192, (1, 2, 3, 4), 3, (2, 4, 8)
    unet.attention_layout, unet.head_channels, unet.resblock_updown = "split", 64, True
    config.model.learned_variance = True
    config.data.image_size = 64


def _published(config: Config, schedule: str) -> None:
    """What the published chains have in common: 1000 steps, noise predicted, pixels in [-1, 1] as they are."""
    model = config.model
    model.schedule, model.target, model.weight = schedule, "eps", "simple"
    model.normalise, model.center, model.stratified = "none", "pixels", False
    model.unet.patch, model.unet.local_channels, model.unet.norm_groups = 1, 0, 32
    config.train.batch_size, config.optim.net.learning_rate = 32, 1e-4
    config.sample.sampler, config.sample.guidance = "dpmpp", 2.0
    config.optim.net.warmup = "500 steps"


def shrink_unet(unet: Config) -> None:
    """For `:smoke`."""
    unet.channels = 32
    unet.blocks = 1
