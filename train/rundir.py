"""The run directory: what a run is (config, provenance) and what came of it (metrics, summary)."""

import contextlib
import fcntl
import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from data import Info, UserError
from data.covariance import PixelCovariance
from data.dataset import Dataset
from data.label_means import LabelMeans
from train.plain_json import finite

MEANS, COVARIANCE = "label_means.npz", "pixel_covariance.npz"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "tensorflow-datasets", "grain", "diffrax")


def to_plain(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """A config as JSON holds it: tuples become lists, so a saved one and a fresh one compare equal."""
    return json.loads(json.dumps(config.to_dict()))


def open_run(folder: Path, config: dict[str, Any]) -> None:
    """Makes a run directory, or checks that the one there is of the same config.

    Raises:
      UserError: the directory holds a run of another config, or is no run directory.
    """
    keep_config(folder, config)
    if jax.process_index() == 0:
        (folder / "samples").mkdir(exist_ok=True)


def keep_config(folder: Path, config: dict[str, Any], free: str = "train.duration") -> None:
    """Writes FOLDER/config.json, where `check_config` lets it; `free` as there."""
    check_config(folder, config, free)
    if jax.process_index() == 0:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "config.json", config, exact=True)


def check_config(folder: Path, config: dict[str, Any], free: str = "train.duration") -> None:
    """Whether FOLDER/config.json is the same, or may be written; writes nothing.

    Args:
      free: the field that may change, and replaces the saved one: a run can go on for longer.

    Raises:
      UserError: the directory is of another config, or holds something else.
    """
    path = folder / "config.json"
    if path.exists():
        try:
            saved = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise UserError(f"{path} is damaged ({error}); use another --workdir") from error
        changes = [line for line in differences(saved, config) if not line.startswith(f"{free}:")]
        if changes:
            listed = "; ".join(changes)
            raise UserError(f"{folder} holds a run of another config ({listed}); use another --workdir, or that config")
    elif folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty and holds no run (no config.json); use another --workdir")


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """One line "key: old -> new" for every field in which two plain configs differ."""
    lines = []
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key, "(absent)"), new.get(key, "(absent)")
        if isinstance(a, dict) and isinstance(b, dict):
            lines += differences(a, b, f"{prefix}{key}.")
        elif a != b:
            lines.append(f"{prefix}{key}: {a!r} -> {b!r}")
    return lines


def read_config(folder: Path) -> ml_collections.ConfigDict:
    """The config of a run.

    Raises:
      UserError: `folder` is no run directory.
    """
    path = folder / "config.json"
    if not path.exists():
        raise UserError(
            f"{folder} is no run directory (no config.json); give the folder that `python -m train` printed"
        )
    return ml_collections.ConfigDict(json.loads(path.read_text()))


def record_provenance(
    folder: Path,
    dataset: Dataset,
    source: dict[str, Any] | None = None,
    covariance: PixelCovariance | None = None,
) -> bool:
    """Adds this start to provenance.json (code, versions, device, data), and keeps the training labels.

    The labels, the mean images expected of them and their covariance let the run be sampled where the data is not at
    hand.

    Args:
      source: what a fine-tuned run began from.

    Returns:
      Whether the data is what it was at the first start, from which the run has its label means and covariance.
    """
    path = folder / "provenance.json"
    starts = json.loads(path.read_text()) if path.exists() else []
    same = not starts or starts[0]["data"]["fingerprint"] == dataset.info.fingerprint
    if jax.process_index():
        return same
    np.save(folder / "train_labels.npy", dataset.arrays("train")["label"])
    for name, values in ((MEANS, dataset.label_means()), (COVARIANCE, covariance)):
        if values is not None and not (folder / name).exists():
            np.savez(folder / f"tmp_{name}", **values._asdict())
            os.replace(folder / f"tmp_{name}", folder / name)
    starts.append({
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "git": git_revision(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "device": device_name(),
        "devices": jax.device_count(),
        "hosts": jax.process_count(),
        "data": dataset.info.to_dict(),
        "source": source,
    })  # fmt: skip
    write_json(path, starts)
    return same


def read_label_means(folder: Path, info: Info) -> LabelMeans | None:
    """The means that a run began with; None where there are none yet, or those of images of another shape."""
    saved = _read_arrays(folder / MEANS)
    if saved is None or saved["maps"].shape != (len(info.labels) + 1, *info.image_shape):
        return None
    return LabelMeans(saved["maps"], saved["prevalence"], float(saved["std"]))


def read_covariance(folder: Path, info: Info) -> PixelCovariance | None:
    """The covariance that a run began with; None where there is none, or that of images of another shape."""
    saved = _read_arrays(folder / COVARIANCE)
    if saved is None or saved["basis"].shape[1] != np.prod(info.image_shape):
        return None
    return PixelCovariance(saved["basis"], saved["variance"], float(saved["rest"]))


def _read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    with np.load(path) as saved:
        return dict(saved)


def git_revision() -> str:
    """The commit of this code, with "+changes" where the tree differs from it; "unknown" outside git."""
    here = Path(__file__).parent
    try:
        revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        status = subprocess.run(["git", "status", "--porcelain"], cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return revision.stdout.strip() + ("+changes" if status.stdout.strip() else "")


def device_name() -> str:
    """Name of the accelerator, or of the processor and its cores."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return device.device_kind
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{model}, {len(os.sched_getaffinity(0))} cores"


def write_json(path: Path, value: Any, exact: bool = False) -> None:
    """Writes a file whole or not at all.

    Args:
      exact: NaN and Infinity are written as such, which Python reads back and other readers of JSON refuse (RFC 8259,
        section 6); else as null.
    """
    temporary = path.with_suffix(path.suffix + ".tmp")
    temporary.write_text(json.dumps(value if exact else finite(value), indent=2) + "\n")
    os.replace(temporary, path)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


@contextlib.contextmanager
def locked(folder: Path):
    """Holds a run directory, so that a second process does not write into it.

    Raises:
      UserError: another process holds it, or its file system has no locks.
    """
    folder = folder.absolute()  # "." has no name
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.with_name(f".{folder.name}.lock")
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if jax.process_count() == 1:
                raise UserError(
                    f"{folder} is in use by another process; wait for it, or use another --workdir"
                ) from error
        except OSError as error:  # some network file systems: ENOLCK, ENOSYS, EOPNOTSUPP
            raise UserError(
                f"{folder.parent} is on a file system without locks ({error.strerror}); use a folder on another one"
            ) from error
        yield
