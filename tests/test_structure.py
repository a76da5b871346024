"""Imports run one way, and the loop knows no family by name."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {
    "data": set(),
    "models": set(),
    "configs": {"data"},
    "train": {"data", "models"},
    "analysis": {"data", "models", "train"},
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_run_one_way(package):
    for path in (ROOT / package).rglob("*.py"):
        foreign = set(imported(path)) & set(ALLOWED) - {package} - ALLOWED[package]
        if path == ROOT / "train" / "__main__.py":
            foreign -= {"analysis"}  # the one place that builds the loop's evaluators
        if path == ROOT / "data" / "describe.py":
            foreign -= {"analysis", "train"}  # a command's name alone
        assert not foreign, f"{path.relative_to(ROOT)} imports {foreign}"


def test_the_loop_names_no_family():
    for path in (ROOT / "train").glob("*.py"):
        named = re.findall(r"(?i)(?<![a-z])(?:ddpm|gan|vae|flow)(?![a-z])", path.read_text())
        assert not named, f"{path.name} names {named}"
