"""Readers on disk, so that a second evaluation on the same data does not train them again."""

import contextlib
import itertools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import flax
import jax
import numpy as np

from analysis.domain.network import Reader
from analysis.domain.training import Trained
from data import Info, UserError
from data.cache import contents, digest

CHECK = "check"


def kept(kind: str, info: Info, folder: str | Path | None, seed: int, make: Callable[[], Trained]) -> Trained:
    """What `make` gives, from the folder where it lies there, and kept there where it does not.

    A file's name holds the dataset's fingerprint and depends on the seed and on this package's code. It appears whole
    or not at all; a damaged one is made anew.

    Args:
      kind: "findings" or "factors".
      folder: None keeps nothing.

    Raises:
      UserError: a folder that cannot be written.
    """
    if folder is None:
        return make()
    code = contents(Path(__file__).parent, ("network.py", "training.py", "classifier.py", "regressor.py", "targets.py"))
    path = Path(folder) / f"domain_{kind}_{info.fingerprint}_{digest(seed, code)}.npz"
    found = _read(path)
    if found is None:
        found = make()
        _write(path, found)
    return found


def share(fingerprint: str, *folders: Path) -> None:
    """Gives each of some folders the readers of a dataset that the others have.

    So a run keeps those that judged it, and is judged by them again on another machine.
    """
    for source, target in itertools.permutations(folders, 2):
        for path in source.glob(f"domain_*_{fingerprint}_*.npz"):
            if not (target / path.name).exists():
                target.mkdir(parents=True, exist_ok=True)
                temporary = target / f"{path.name}.{os.getpid()}.tmp"
                shutil.copyfile(path, temporary)
                temporary.replace(target / path.name)


def _read(path: Path) -> Trained | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            values = {name: file[name] for name in file.files}
        check = json.loads(str(values.pop(CHECK)))
        params = flax.traverse_util.unflatten_dict(values, sep="/")
        return Trained(Reader(len(params["Dense_1"]["bias"])), params, check)
    except Exception:  # a damaged zip raises errors of many kinds, and each means the same
        return None


def _write(path: Path, trained: Trained) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    values = flax.traverse_util.flatten_dict(jax.tree.map(np.asarray, trained.params), sep="/")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.savez(file, **values, **{CHECK: json.dumps(trained.check)})
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise UserError(f"{path.name} cannot be kept in {path.parent} ({error}): name another folder") from error
