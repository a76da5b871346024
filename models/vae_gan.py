"""VAE with a discriminator, after the VAE/GAN of Larsen et al. (2016).

D judges images decoded from the posterior's codes and from the prior's. As there, the game teaches the decoder and not
the encoder. The pixels' likelihood stays, where Larsen et al. put a distance in D's features, so that the bound is
still one and is reported in the same bits/dim; and the priors, which are learned here, take part in the game.
"""

import dataclasses
from functools import partial
from typing import Any

import jax

from models import adversarial, draws
from models.adversarial import Game
from models.family import Batch, Setting
from models.gan_nets import Discriminator, check_levels
from models.state import State
from models.update import example_keys
from models.vae import VAE


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class AdversarialVAE(VAE):
    """Built by `build`; a step is one step of D on real and decoded images, then one of the VAE against the new D.

    Attributes:
      discriminator: Flax module.
      game: loss and penalties of D and the decoder.
      weight: of the adversarial loss, in bits/dim.
    """

    discriminator: Discriminator
    game: Game
    weight: float

    def init(self, key: jax.Array, batch: Batch) -> State:
        """A fresh state; `batch` is read for its shapes."""
        keys = jax.random.split(key)
        net = self.init_params(keys[0], batch)
        judge = self.discriminator.init(keys[1], batch["image"][:1], batch["label"][:1])["params"]
        return self.updater.init({"net": net, "discriminator": judge}, averaged=("net",))

    def train_step(self, state: State, batch: Batch, key: jax.Array):
        """One step of D, then one of the VAE.

        Returns:
          (state, scalars []): those of VAE.train_step, and game (the decoder's loss), d_loss, d_real and d_fake
          (accuracies), slope_real and slope_fake (|grad D|^2), d_grad_norm.
        """
        batch = self._draw(state, batch, key)
        state, d_scalars = self._step_d(state, batch)
        params = state.params["discriminator"]
        state, scalars = self.updater.step(state, "net", lambda p, part: self._loss_of_both(p, params, part), batch)
        return state, d_scalars | scalars

    def _draw(self, state: State, batch: Batch, key: jax.Array) -> Batch:
        """Adds to VAE's draw the noise of a code from the prior, and u of the penalties."""
        batch = super()._draw(state, batch, key)
        after = len(batch["noise"]) + 1  # streams of an example's key that super() has used
        keys = example_keys(key, batch["id"])
        noise, u = draws.fold(keys, after), draws.fold(keys, after + 1)
        return batch | {"prior_noise": self._noise(noise), "u": jax.vmap(jax.random.uniform)(u)}

    def _step_d(self, state: State, batch: Batch):
        net = state.params["net"]

        def loss(params, part):
            return self._discriminator_loss(params, net, part)

        state, scalars = self.updater.move(state, "discriminator", loss, batch)
        return state, adversarial.of_discriminator(scalars)

    def _discriminator_loss(self, params, net, part: Batch):
        """Per-example loss of D [b], the mean over both kinds of decoded image, and scalars [b]."""
        real, label, critic = part["image"], part["label"], partial(self._judge, params)
        d_real, losses, scalars = critic(real, label), [], []
        for fake in jax.lax.stop_gradient(self._fakes(net, part, self._terms(net, part)[2])):
            d_fake = critic(fake, label)
            penalty, slopes = self.game.penalties(critic, real, fake, label, part["u"])
            losses.append(adversarial.discriminator_loss(self.game.loss, d_real, d_fake) + penalty)
            scalars.append(self.game.accuracies(d_real, d_fake) | slopes)
        return jax.tree.map(lambda a, b: (a + b) / 2, *zip(losses, scalars, strict=True))

    def _loss_of_both(self, params, discriminator, part: Batch):
        """The VAE's loss and the decoder's in the game, per example [b], and scalars [b]."""
        log_likelihood, costs, codes = self._terms(params, part)
        loss, scalars = self._weigh(part, log_likelihood, costs)
        d_real = self._judge(discriminator, part["image"], part["label"])
        fakes = [self._judge(discriminator, x, part["label"]) for x in self._fakes(params, part, codes)]
        game = sum(adversarial.generator_loss(self.game.loss, d_real, d_fake) for d_fake in fakes) / len(fakes)
        return loss + self.weight * game, scalars | {"game": game}

    def _fakes(self, params, part: Batch, codes) -> tuple[jax.Array, jax.Array]:
        """Mean images of the posterior's codes and of the prior's, not clipped: a clipped pixel learns nothing."""
        seen = self._decoded(params, part["label"], jax.lax.stop_gradient(codes))
        drawn, _ = self.net.apply({"params": params}, part["label"], part["prior_noise"], method=self.net.decode)
        return tuple(self.pixels.to_pixels(self._likelihood(out)[0]) for out in (seen, drawn))

    def _judge(self, params, image: jax.Array, label: jax.Array) -> jax.Array:
        return self.discriminator.apply({"params": params}, image, label)[0]


def build(options: dict[str, Any], setting: Setting, shared: tuple, known: dict[str, Any]) -> AdversarialVAE:
    """The family from `config.model.discriminator` and from what models/vae.py built already.

    Raises:
      ValueError: a name or a combination that does not exist.
    """
    options = dict(options)
    dtype = {} if setting.compute_dtype is None else {"dtype": setting.compute_dtype}
    size, channels = setting.image_shape[0], tuple(options.pop("channels"))
    shape = {name: options.pop(name) for name in ("blocks", "patch", "detail")}
    net = Discriminator(channels=channels, image_size=size, **shape, **dtype)
    check_levels(size, net.patch, net.channels)
    weight = options.pop("weight")
    game = Game(**options)
    family = AdversarialVAE(*shared, **known, discriminator=setting.adapt(net), game=game, weight=weight)
    game.check_parts(family.updater.accumulate)
    return family
