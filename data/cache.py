"""Prepared data on disk: keys that notice a changed source; folders that appear whole or not at all."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from data import files
from data.errors import UserError


def digest(*parts) -> str:
    """16 hex digits that depend on every part (JSON-able values)."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def fingerprint(path: Path) -> str:
    """Depends on where a source is, and on the name, size and time of change of each file in it.

    Args:
        path: a file, or a folder that is walked to the bottom; hidden files and folders do not count.

    Raises:
        UserError: a folder that cannot be listed.
    """
    path, hashed = path.resolve(), hashlib.sha256()  # whole paths: the same files elsewhere are others
    try:
        found = [(str(path), path.stat())] if path.is_file() else sorted(files.walk(path))
    except OSError as error:
        raise UserError(
            f"{error.filename} cannot be read ({error.strerror}): check its permissions."
        ) from error
    for name, status in found:
        hashed.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return hashed.hexdigest()[:16]


def contents(folder: Path, patterns: tuple[str, ...] = ("*.py",)) -> str:
    """Depends on the Python code of these names in a folder: the source of what is drawn and not read."""
    hashed = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        hashed.update(path.name.encode() + b"\0" + path.read_bytes())
    return hashed.hexdigest()[:16]


def root(cache: str, source: str) -> Path:
    """The cache folder, made if need be. UserError when it cannot be written or lies inside the source."""
    folder = Path(cache).expanduser().resolve()
    origin = Path(source).expanduser().resolve()
    if source and origin.is_dir() and folder.is_relative_to(origin):
        raise UserError(
            f"data.cache={cache} lies inside data.dir={source}, where it would be taken for images: "
            "set data.cache to a folder outside."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError("it is not writable")
    except OSError as error:
        raise UserError(
            f"data.cache={cache} cannot be used ({error}): set it to a folder of yours."
        ) from error
    return folder


@contextlib.contextmanager
def locked(target: Path) -> Iterator[None]:
    """One process at a time prepares `target`; the others wait here. The lock ends with the process."""
    lock = target.with_name(target.name + ".lock")
    handle = _acquire(lock)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(handle)


def _acquire(lock: Path, wait: bool = True) -> int | None:
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError as error:
            os.close(handle)
            raise UserError(
                f"{lock.parent} is on a file system without locks: set data.cache elsewhere."
            ) from error
        # The holder before us deleted the file as it left: then this lock guards nothing, take the new one.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), os.stat(lock)):
                return handle
        os.close(handle)


@contextlib.contextmanager
def building(target: Path) -> Iterator[Path]:
    """A temporary folder that becomes `target` when the block ends well, and vanishes when it does not.

    Call it under `locked(target)`.
    """
    temporary = target.with_name(target.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        os.rename(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Deletes what killed preparations left: temporary folders and locks that no living process holds."""
    for left in [*folder.glob("*/*.tmp"), *folder.glob("*/*.lock")]:
        lock = left.with_name(left.name.rsplit(".", 1)[0] + ".lock")
        handle = _acquire(lock, wait=False)
        if handle is None:
            continue
        shutil.rmtree(left.with_suffix(".tmp"), ignore_errors=True)
        lock.unlink(missing_ok=True)
        os.close(handle)
