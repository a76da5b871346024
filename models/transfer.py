"""Which trained parameters go where: a source's arrays to the parameters of a network here, matched by path.

The rules, each of which keeps what the source computes as far as the images allow:

- A stem's kernel is summed over the source's channels for gray images: it then sees a gray image as the source saw it
  repeated in its channels. A gray stem takes colour with 1/n of its kernel for each of n channels: it sees their mean.
- A head is averaged over the source's output channels for gray, and repeated for colour.
- Another patch (space-to-depth factor), m times the source's: each tap of the stem is shared by the m x m pixels that
  take its place, 1/m^2 for each, and each output pixel of the head is repeated. The network then gives of an image what
  the source gives of it at 1/m of the size, enlarged by repetition. A patch m times smaller is the reverse: sums in the
  stem, means in the head.
- A head that also gives a variance (learned_variance) lends its first half to one that does not; the other way round
  the variance begins afresh.
- Rows of label embeddings, known and null, go to the class of the same name. A source that names no classes lends its
  rows in order where there are as many of them, and none otherwise.
- Everything else needs the same path and shape. Convolutions, norms and time embeddings hold for any image size.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np

from models.lora import is_factor

Path = tuple[str, ...]
Arrays = Mapping[Path, np.ndarray]
# Of the modules that a family counts as its stem or its head, those whose inputs or outputs are pixels.
STEMS = ("conv_in", "conv_local", "conv_guess", "detail_in")
HEADS = ("conv_out", "conv_levels", "detail_out")


@dataclasses.dataclass(frozen=True)
class Images:
    """What a network was made for.

    Attributes:
      channels: of the images.
      labels: names of the label's entries, None where they are not known.
    """

    channels: int
    labels: tuple[str, ...] | None


@dataclasses.dataclass(frozen=True)
class Row:
    """What became of one parameter.

    Attributes:
      network, path, shape: of the parameter, here or, where it is unused, in the source.
      status: loaded (as it is), adapted (by a rule), fresh (as initialised) or unused (of the source).
      rule: which rule, or why not.
      whole: every number of it comes from the source.
    """

    network: str
    path: Path
    shape: tuple[int, ...]
    status: str
    rule: str = ""
    whole: bool = False

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def transfer(
    network: str, here: Arrays, there: Arrays, group: Callable[[Path], str], images: Images, source: Images
) -> tuple[dict[Path, np.ndarray], list[Row]]:
    """Parameters of `network` with what the source can give.

    Args:
      here: its parameters as initialised, by path.
      there: the source's.
      group: where a path stands: stem, head, label or body (`Family.param_group`).
      images: what the network is for.
      source: what the source was for.

    Returns:
      (parameters by path, a row for each of them and for each of the source's that is not used).
    """
    values, rows = {}, []
    for path, fresh in here.items():
        value, row = _one(network, path, fresh, here, there, group(path), images, source)
        values[path] = np.asarray(value, fresh.dtype)
        rows.append(dataclasses.replace(row, network=network))
    unused = [Row(network, path, np.shape(a), "unused", "not in this model") for path, a in there.items()
              if path not in here]  # fmt: skip
    return values, rows + unused


def _one(network: str, path: Path, fresh, here: Arrays, there: Arrays, group: str, images: Images, source: Images):
    """(value, row without its network) of one parameter."""

    def row(status: str, rule: str = "", whole: bool = False) -> Row:
        return Row("", path, fresh.shape, status, rule, whole)

    if path not in there:
        return fresh, row("fresh", "low-rank factors" if is_factor(path) else "not in the source")
    value = np.asarray(there[path])
    if group == "label":
        value, carried, rule = label_rows(value, fresh, source.labels, images.labels)
        if carried == len(fresh):
            return value, row("adapted" if rule else "loaded", rule, whole=True)
        return value, row("adapted" if carried else "fresh", rule)
    if value.shape == fresh.shape:
        return value, row("loaded", whole=True)
    adapted = None
    if len(path) > 1 and path[-1] in ("kernel", "bias"):
        units = _unit(path, there, source.channels, network), _unit(path, here, images.channels, network)
        if group == "stem" and path[-2] in STEMS and path[-1] == "kernel":
            adapted = stem_kernel(value, fresh.shape, *units)
        elif group == "head" and path[-2] in HEADS:
            adapted = head_array(value, fresh, *units)
    if adapted is None:
        return fresh, row("fresh", f"{value.shape} in the source")
    value, rule, whole = adapted
    return value, row("adapted", rule, whole)


def stem_kernel(kernel: np.ndarray, shape: tuple[int, ...], there: int, here: int):
    """A stem's kernel [n, n, i, d] for another number of channels or another patch.

    Args:
      shape: wanted.
      there, here: channels of the image that the stem's i = channels x patch^2 inputs are made of.

    Returns:
      (kernel, the rule in words, True), or None where no rule leads from the one to the other.
    """
    patches = _patch(kernel.shape[2], there), _patch(shape[2], here)
    if (*kernel.shape[:2], kernel.shape[3]) != (*shape[:2], shape[3]) or None in patches:
        return None
    old, new = patches
    parts = kernel.reshape(*kernel.shape[:2], there, old, old, -1)
    steps = [_channels(parts, 2, there, here, np.sum, 1.0 / here, "summed over the source's channels"),
             lambda a: _resample(a, 3, old, new, np.sum, (old / new) ** 2)]  # fmt: skip
    return _apply(steps, parts, shape)


def head_array(array: np.ndarray, fresh: np.ndarray, there: int, here: int):
    """A head's kernel [..., o] or bias [o] for other channels, another patch, or with or without a variance.

    Args:
      fresh: as initialised, of the shape wanted.
      there, here: channels of the image of which o = (1 or 2) x channels x patch^2 outputs are made.

    Returns:
      (array, the rule in words, whether all of it is the source's), or None where there is no rule.
    """
    layouts = _halves(array.shape[-1], there), _halves(fresh.shape[-1], here)
    if array.shape[:-1] != fresh.shape[:-1] or None in layouts:
        return None
    (halves, old), (wanted, new) = layouts
    parts = array.reshape(*array.shape[:-1], halves, there, old, old)
    axis = parts.ndim - 3
    steps = [_channels(parts, axis, there, here, np.mean, 1.0, "averaged over the source's channels"),
             lambda a: _resample(a, axis + 1, old, new, np.mean, 1.0)]  # fmt: skip
    if halves > wanted:
        steps.append(lambda a: (a.take([0], axis - 1), "without its variance"))
    if halves < wanted:
        variance = fresh.reshape(*fresh.shape[:-1], 2, here, new, new).take([1], axis - 1)
        steps.append(lambda a: (np.concatenate([a, variance], axis - 1), "the variance is fresh"))
    adapted = _apply(steps, parts, fresh.shape)
    return adapted and (*adapted[:2], halves >= wanted)


def label_rows(value: np.ndarray, fresh: np.ndarray, there: tuple[str, ...] | None, here: tuple[str, ...]):
    """Rows [k, width] of a label embedding, each from the class of the same name: (rows, how many carried, rule)."""
    if value.shape[-1] != fresh.shape[-1]:
        return fresh, 0, f"{value.shape} in the source"
    if there is None:
        if len(value) != len(fresh):
            return fresh, 0, f"the source names no classes and has {len(value)}"
        return value, len(value), "rows in order: the source names no classes"
    if there == here:
        return value, len(value), ""
    rows = np.array(fresh)
    shared = [name for name in here if name in there]
    for name in shared:
        rows[here.index(name)] = value[there.index(name)]
    return rows, len(shared), f"rows of {len(shared)} of {len(here)} classes, by name"


def _channels(parts: np.ndarray, axis: int, there: int, here: int, reduce, share: float, words: str):
    """The step from the source's channels to ours: `reduce` to one, or from one to many with `share` of it each."""

    def step(a: np.ndarray):
        if there == here:
            return a, ""
        if here == 1:
            return reduce(a, axis, keepdims=True), words
        if there == 1:
            return np.repeat(a, here, axis) * share, f"repeated over {here} channels"
        return None

    return step


def _resample(a: np.ndarray, axis: int, old: int, new: int, reduce, share: float):
    """Axes (axis, axis + 1) of `old` x `old` taps to `new` x `new`: repeated with `share` each, or reduced."""
    if old == new:
        return a, ""
    if new % old == 0:
        words = f"patch {old} to {new}: each tap shared by {new // old} x {new // old} pixels"
        return np.repeat(np.repeat(a, new // old, axis), new // old, axis + 1) * share, words
    if old % new == 0:
        m = old // new
        blocks = a.reshape(*a.shape[:axis], new, m, new, m, *a.shape[axis + 2 :])
        return reduce(blocks, (axis + 1, axis + 3)), f"patch {old} to {new}: {m} x {m} taps joined"
    return None


def _apply(steps, array: np.ndarray, shape: tuple[int, ...]):
    """(array after all steps in `shape`, their words, True), None where a step has no answer."""
    words = []
    for step in steps:
        done = step(array)
        if done is None:
            return None
        array, said = done
        words += [said] if said else []
    return array.reshape(shape), "; ".join(words), True


def _unit(path: Path, arrays: Arrays, channels: int, network: str) -> int:
    """Channels of what a stem takes or a head gives: the image's, or those of a layer between it and the image."""
    *place, module, _ = path
    # Of a discriminator detail_in lies before conv_in; of a segmenter beside it.
    first = ("conv_local", "detail_in") if network == "discriminator" else ("conv_local",)
    outer = {"conv_in": first, "conv_levels": ("conv_local",), "conv_out": ("detail_out",)}
    for name in outer.get(module, ()):
        if (kernel := arrays.get((*place, name, "kernel"))) is not None:
            return kernel.shape[-2 if name == "detail_out" else -1]
    return channels


def _patch(inputs: int, channels: int) -> int | None:
    """p of inputs = channels x p^2, None where there is none."""
    patch = math.isqrt(inputs // channels)
    return patch if channels * patch**2 == inputs and patch else None


def _halves(outputs: int, channels: int) -> tuple[int, int] | None:
    """(1 or 2, p) of outputs = that x channels x p^2; no number is both a square and twice a square."""
    for halves in (1, 2):
        if patch := _patch(outputs, halves * channels):
            return halves, patch
    return None
