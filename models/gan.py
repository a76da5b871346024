"""Generative adversarial network, conditional on the multi-hot label (Goodfellow et al. 2014; Huang et al. 2024).

A step is one step of D on real and generated images, then one of G against the new D. Both see images on the pixels'
own scale [-1, 1].
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from models import adversarial
from models.adversarial import Game
from models.augment import Adaptive, augment
from models.family import Batch, Setting
from models.gan_nets import Discriminator, Generator, check_levels
from models.pixels import PixelScale, pixel_scale
from models.state import State
from models.update import Updater, example_keys

AUGMENTATIONS = ("none", "fixed", "adaptive")
FEW = 16  # images whose diversity is looked at where D sees them augmented
COLLAPSE = 0.3  # share of the real images' diversity below which the generator is said to collapse


@dataclasses.dataclass(frozen=True, eq=False)
class GAN:
    """The family; built by `build` from `config.model`.

    Attributes:
      generator, discriminator: Flax modules.
      pixels: scale of the pixels; a GAN's is that of [-1, 1] itself.
      updater: optimisers and moving average.
      latent: size of z.
      game: loss and penalties of the two.
      augmentation: none, fixed (p stays) or adaptive.
      probability: p at the start.
      adaptive: how p moves.
    """

    generator: Any
    discriminator: Any
    pixels: PixelScale
    updater: Updater
    latent: int
    game: Game
    augmentation: str
    probability: float
    adaptive: Adaptive

    def init(self, key: jax.Array, batch: Batch) -> State:
        """A fresh state; `batch` is read for its shapes. The augmentation's p and last r_t are in `extra`."""
        image, label = batch["image"][:1], batch["label"][:1]
        keys = jax.random.split(key)
        params = {
            "generator": self.generator.init(keys[0], jnp.zeros((1, self.latent)), label)["params"],
            "discriminator": self.discriminator.init(keys[1], image, label)["params"],
        }
        state = self.updater.init(params, averaged=("generator",))
        augmentation = {"p": jnp.asarray(self.probability, jnp.float32), "r": jnp.zeros(())}
        return state.replace(extra=state.extra | {"augmentation": augmentation})

    def train_step(self, state: State, batch: Batch, key: jax.Array):
        """One step of D, then one of G.

        Returns:
          (state, scalars []): loss (of G), d_loss, d_real and d_fake (accuracies), slope_real and slope_fake
          (|grad D|^2, where r1 and r2 are on), r_t, p, norms of the gradients, and diversity (of generated images
          against real ones, 1 is equal), but where micro-batches are of one image.
        """
        n = batch["image"].shape[0]
        batch = self._draw(batch, key) | {"p": jnp.broadcast_to(state.extra["augmentation"]["p"], (n,))}
        state, d_scalars = self._step_d(state, batch)
        state, g_scalars = self._step_g(state, batch)
        state = self._follow(state, d_scalars["r_t"], n)
        extra = {"p": state.extra["augmentation"]["p"]}
        return state.replace(step=state.step + 1), d_scalars | g_scalars | extra

    def eval_step(self, state: State, batch: Batch, key: jax.Array) -> dict[str, jax.Array]:
        """Of D, on validation images and on images of the averaged generator: loss of G and D's accuracies, each [b].

        A GAN has no likelihood; these tell how the game stands, not how good the images are.
        """
        batch = self._draw(batch, key)
        fake = self._generate(state.sampling_params("generator"), batch["z"], batch["label"])
        real, _ = self._judge(state.params["discriminator"], batch["image"], batch["label"])
        fake, _ = self._judge(state.params["discriminator"], fake, batch["label"])
        loss = adversarial.generator_loss(self.game.loss, real, fake)
        return {"loss": loss} | self.game.accuracies(real, fake)

    def sample(self, state: State, keys: jax.Array, label: jax.Array, **options) -> jax.Array:
        """Images [b, h, w, c] in [-1, 1] of the averaged generator.

        Args:
          keys: [b] one key an image.
          label: [b, k]; -1 only where the training labels had unknown entries too.
          **options: fields of `SampleOptions`.
        """
        options = SampleOptions(**options)
        z = jax.vmap(lambda k: truncated_normal(k, self.latent, options.truncation))(keys)
        return jnp.clip(self._generate(state.sampling_params("generator"), z, label), -1.0, 1.0)

    def likelihoods(self) -> dict[str, Callable]:
        """None: a GAN has no density."""
        return {}

    def realness(self, state: State, batch: Batch) -> jax.Array:
        """D's logit [b] of images [b, h, w, c] in [-1, 1] with their labels: the higher, the more real to D."""
        return self._judge(state.params["discriminator"], batch["image"], batch["label"])[0]

    def param_group(self, path: tuple[str, ...]) -> str:
        """Where a parameter stands: stem, label, head or body."""
        if "label_embedding" in path:
            return "label"
        if path and path[0] in ("basis", "conv_in", "detail_in"):
            return "stem"
        return "head" if path and path[0] in ("conv_out", "detail_out", "logit") else "body"

    def warnings(self, scalars: dict[str, float]) -> list[str]:
        """What the means of the last rows' scalars say of the training's health."""
        diversity = scalars.get("diversity", 1.0)
        if diversity >= COLLAPSE:
            return []
        return [
            f"mode collapse: generated images are {diversity:.2f} times as different from each other as real ones, "
            f"in the discriminator's features; raise config.model.r1 and r2, or lower the learning rates"
        ]

    def _step_d(self, state: State, batch: Batch):
        generator = state.params["generator"]

        def loss(params, part):
            return self._discriminator_loss(params, generator, part)

        state, scalars = self.updater.move(state, "discriminator", loss, batch)
        fake, real = scalars.pop("spread_fake"), scalars.pop("spread_real")
        if batch["image"].shape[0] > self.updater.accumulate:  # one image alone has no spread
            scalars["diversity"] = jnp.sqrt(fake / jnp.maximum(real, 1e-12))
        return state, adversarial.of_discriminator(scalars)

    def _step_g(self, state: State, batch: Batch):
        discriminator = state.params["discriminator"]

        def loss(params, part):
            return self._generator_loss(params, discriminator, part), {}

        return self.updater.move(state, "generator", loss, batch)

    def _follow(self, state: State, r: jax.Array, batch_size: int) -> State:
        """The augmentation's next p, from this step's r_t."""
        if self.augmentation != "adaptive":
            return state
        p = self.adaptive.update(state.extra["augmentation"]["p"], r, batch_size)
        return state.replace(extra=state.extra | {"augmentation": {"p": p, "r": r}})

    def _draw(self, batch: Batch, key: jax.Array) -> Batch:
        """Adds each example's z and keys, from its own key."""
        keys = jax.vmap(lambda k: jax.random.split(k, 4))(example_keys(key, batch["id"]))
        z = jax.vmap(lambda k: jax.random.normal(k, (self.latent,)))(keys[:, 0])
        u = jax.vmap(jax.random.uniform)(keys[:, 3])
        return batch | {"z": z, "key_d": keys[:, 1], "key_g": keys[:, 2], "u": u}

    def _generate(self, params, z, label) -> jax.Array:
        return self.generator.apply({"params": params}, z, label)

    def _judge(self, params, image, label):
        return self.discriminator.apply({"params": params}, image, label)

    def _seen(self, image: jax.Array, keys: jax.Array, p: jax.Array) -> jax.Array:
        return image if self.augmentation == "none" else augment(image, keys, p[0])

    def _discriminator_loss(self, params, generator, part: Batch):
        """Per-example loss of D with its penalties [b], and scalars [b]."""
        label = part["label"]
        drawn = jax.lax.stop_gradient(self._generate(generator, part["z"], label))
        keys = jax.vmap(jax.random.split)(part["key_d"])
        real = self._seen(part["image"], keys[:, 0], part["p"])
        fake = self._seen(drawn, keys[:, 1], part["p"])
        critic = lambda image, label: self._judge(params, image, label)[0]  # noqa: E731
        (d_real, features_real), (d_fake, features_fake) = (self._judge(params, x, label) for x in (real, fake))
        loss = adversarial.discriminator_loss(self.game.loss, d_real, d_fake)
        penalty, slopes = self.game.penalties(critic, real, fake, label, part["u"])
        spreads = self._spreads(params, part, drawn, {"real": features_real, "fake": features_fake})
        signs = {"r_t": self.game.signs(d_real, d_fake)}
        return loss + penalty, self.game.accuracies(d_real, d_fake) | signs | slopes | spreads

    def _spreads(self, params, part: Batch, drawn: jax.Array, features: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """{"spread_real", "spread_fake"}: how different a batch's images are in D's features, [b].

        As they are: one image many times would look different under augmentation. Where D saw them augmented, of the
        first few alone, which costs less than another pass of all.

        Args:
          features: [b, f] of what D has seen.
        """
        spreads = lambda of, n: {  # noqa: E731
            f"spread_{name}": spread(values, part["weight"][:n]) for name, values in of.items()
        }
        seen = spreads(features, None)
        if self.augmentation == "none":
            return seen

        def as_they_are():
            images = {"real": part["image"][:FEW], "fake": drawn[:FEW]}
            of = {name: self._judge(jax.lax.stop_gradient(params), x, part["label"][:FEW])[1]
                  for name, x in images.items()}  # fmt: skip
            weight = part["weight"][:FEW]
            mean = lambda x: jnp.sum(weight * x) / jnp.maximum(jnp.sum(weight), 1e-8)  # noqa: E731
            return {name: jnp.broadcast_to(mean(x), seen[name].shape) for name, x in spreads(of, FEW).items()}

        return jax.lax.cond(part["p"][0] > 0, as_they_are, lambda: jax.lax.stop_gradient(seen))

    def _generator_loss(self, params, discriminator, part: Batch):
        """Per-example loss of G [b]."""
        label = part["label"]
        keys = jax.vmap(jax.random.split)(part["key_g"])
        fake = self._seen(self._generate(params, part["z"], label), keys[:, 1], part["p"])
        d_fake, _ = self._judge(discriminator, fake, label)
        d_real = jnp.zeros_like(d_fake)
        if self.game.loss == "relativistic":
            d_real, _ = self._judge(discriminator, self._seen(part["image"], keys[:, 0], part["p"]), label)
        return adversarial.generator_loss(self.game.loss, d_real, d_fake)


@dataclasses.dataclass(frozen=True)
class SampleOptions:
    """How an image is drawn; the fields of `config.sample`, see configs/gan_cxr.py."""

    truncation: float = float("inf")


def truncated_normal(key: jax.Array, size: int, limit: float) -> jax.Array:
    """[size] standard normal numbers, each within [-limit, limit] (the truncation trick of Brock et al. 2019)."""
    if limit == float("inf"):
        return jax.random.normal(key, (size,))
    if limit <= 0:
        return jnp.zeros((size,))
    return jax.random.truncated_normal(key, -limit, limit, (size,))


def spread(features: jax.Array, weight: jax.Array) -> jax.Array:
    """Mean squared distance of features [b, f] from their weighted mean, [b]: how different a batch's images are."""
    share = weight / jnp.maximum(jnp.sum(weight), 1e-8)
    centre = jnp.sum(share[:, None] * features, 0)
    return jnp.sum(jnp.square(features - centre), -1)


def networks(options: dict[str, Any]) -> tuple[str, ...]:
    """Names of the networks that need an optimiser, for `config.model`."""
    return ("generator", "discriminator")


def build(options: dict[str, Any], setting: Setting, updater: Updater) -> GAN:
    """The family from `config.model` (a plain dict), see configs/gan_cxr.py for its fields.

    Raises:
      ValueError: a name or a combination that does not exist.
    """
    options = dict(options)
    height, width, channels = setting.image_shape
    if height != width:
        raise ValueError(f"the gan family makes square images, not {height} x {width}; change data.image_size")
    if options["augmentation"] not in AUGMENTATIONS:
        raise ValueError(
            f"model.augmentation {options['augmentation']!r} is unknown; choose one of {', '.join(AUGMENTATIONS)}"
        )
    dtype = {} if setting.compute_dtype is None else {"dtype": setting.compute_dtype}
    shape = {name: options.pop(name) for name in ("blocks", "patch", "detail")}
    shared = shape | {"image_size": height} | dtype
    generator = Generator(
        out_channels=channels,
        latent=options["latent"],
        channels=tuple(options.pop("generator_channels")),
        embedding=options.pop("embedding"),
        **shared,
    )
    discriminator = Discriminator(channels=tuple(options.pop("discriminator_channels")), **shared)
    for net in (generator, discriminator):
        check_levels(height, net.patch, net.channels)
    adaptive = Adaptive(options.pop("ada_target"), options.pop("ada_kimg"), options.pop("ada_limit"))
    pixels = pixel_scale("none", setting.mean, setting.std, setting.bits)
    game = Game(**{f.name: options.pop(f.name) for f in dataclasses.fields(Game)})
    game.check_parts(updater.accumulate)
    fields = ("latent", "augmentation", "probability")
    known = {name: options.pop(name) for name in fields}
    if options:
        raise ValueError(f"config.model.{next(iter(options))} is not a field of the gan family")
    nets = setting.adapt(generator), setting.adapt(discriminator)
    return GAN(*nets, pixels, updater, game=game, adaptive=adaptive, **known)
