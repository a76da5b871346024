"""Files of weights that others publish: found or downloaded, and checked."""

import dataclasses
import http.client
import os
import shutil
import tempfile
import urllib.request
from pathlib import Path

from analysis.features.file_hash import sha256
from data import UserError

CACHE = Path(".cache/weights")
TIMEOUT = 30  # seconds without an answer


@dataclasses.dataclass(frozen=True)
class Published:
    """A published file and where it is looked for.

    Attributes:
      title: of the network, for messages.
      names: under which the file is published; a download gets the first.
      url: of the file.
      sha256: 64 hex digits of its content.
      variable: of the environment, which may name the file.
      unchecked: endings of files that hold the same arrays in another form, whose hash is not known.
    """

    title: str
    names: tuple[str, ...]
    url: str
    sha256: str
    variable: str
    unchecked: tuple[str, ...] = ()

    def find(self, path: str | Path | None = None, cache: Path = CACHE) -> Path:
        """The checked file: `path`, else what the variable names, else in `cache`, else downloaded into it.

        Raises:
          UserError: no file where one was named, a download that failed, or a file that is not the published one.
        """
        named = path or os.environ.get(self.variable)
        if named and not Path(named).is_file():
            origin = "" if path else f", which {self.variable} names"
            raise UserError(f"there is no file {named}{origin}; {self.names[0]} can be had from {self.url}")
        known = [cache / name for name in self.names if (cache / name).is_file()]
        if not named and not known:
            return self._download(cache)
        found = Path(named) if named else known[0]
        if found.suffix not in self.unchecked:
            self._check(found)
        return found

    def digest(self, found: Path) -> str:
        """SHA-256 of a file that `find` gave."""
        return sha256(found) if found.suffix in self.unchecked else self.sha256

    def _check(self, found: Path) -> None:
        digest = sha256(found)
        if digest != self.sha256:
            raise UserError(
                f"{found} is not the published {self.title} (its SHA-256 begins with {digest[:8]}, not "
                f"{self.sha256[:8]}); put {self.names[0]} from {self.url} in its place"
            )

    def _download(self, cache: Path) -> Path:
        """Whole and checked, or not at all."""
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache) as folder:
                temporary = Path(folder) / self.names[0]
                with urllib.request.urlopen(self.url, timeout=TIMEOUT) as source, temporary.open("wb") as file:
                    shutil.copyfileobj(source, file)
                digest = sha256(temporary)
                if digest != self.sha256:
                    raise OSError(f"what came has a SHA-256 that begins with {digest[:8]}, not {self.sha256[:8]}")
                return temporary.replace(cache / self.names[0])
        except (OSError, http.client.HTTPException) as error:
            raise UserError(
                f"the weights of {self.title} could not be downloaded ({error}): take {self.names[0]} from {self.url} "
                f"on another machine and set {self.variable} to where you put it"
            ) from error
