"""A study within this process, which spares each of its jobs the imports."""

import contextlib
import importlib
import json
import sys
import traceback
from unittest import mock

from analysis import study
from analysis.studies import runner
from tests.train.helpers import ROOT

TIMES = ("seconds_apart", "seconds", "job_seconds", "images_per_second", "train_seconds", "git", "command")


class Ended:
    """What is asked of a process that has ended."""

    def __init__(self, returncode):
        self.returncode = returncode

    def poll(self):
        return self.returncode


def launch_here(job, log, cores):
    """A job's command in this process; its output goes to its log."""
    module, *arguments = job.argv
    package = (ROOT / module.replace(".", "/") / "__main__.py").exists()
    name = f"{module}.__main__" if package else module
    if module == "train":
        arguments.append("--config.compilation_cache=")
    with (
        contextlib.redirect_stdout(log), contextlib.redirect_stderr(log), contextlib.chdir(ROOT),
        mock.patch.object(sys, "argv", [module, *arguments]),
    ):  # fmt: skip
        try:
            return Ended(importlib.import_module(name).main() or 0)
        except SystemExit as stop:
            return Ended(stop.code or 0)
        except Exception:
            traceback.print_exc(file=log)
            return Ended(1)


def run_study(monkeypatch, folder, config, *options):
    """(exit status, content of the results file) of `python -m analysis.study`."""
    argv = ["study", "--config", f"configs/studies/{config}", "--workdir", str(folder / "work"), "--out",
            str(folder / "results"), *options]  # fmt: skip
    monkeypatch.setattr(runner, "start", launch_here)
    monkeypatch.setattr(sys, "argv", argv)
    with contextlib.chdir(ROOT):
        code = study.main()
    files = list((folder / "results").rglob("*.json"))
    return code, json.loads(files[0].read_text()) if files else None


def without_times(value):
    """A results file without what differs between two runs that did the same."""
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in TIMES}
    return [without_times(item) for item in value] if isinstance(value, list) else value
