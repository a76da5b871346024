"""Every study has a config of three sizes."""

import importlib

import pytest

from analysis.plots.studies import DRAWN
from analysis.studies.registry import STUDIES
from tests.train.helpers import ROOT

NAMES = [path.stem for path in (ROOT / "configs/studies").glob("*.py") if path.stem not in ("__init__", "base")]


def test_every_study_is_run_and_drawn():
    assert set(NAMES) == set(STUDIES) == set(DRAWN)


@pytest.mark.parametrize("size", ["smoke", "cpu", "gpu"])
@pytest.mark.parametrize("study", NAMES)
def test_studies_have_three_sizes(study, size):
    config = importlib.import_module(f"configs.studies.{study}").get_config(size)
    assert config.name == size and config.study == study
    with pytest.raises(ValueError, match="needs one size"):
        importlib.import_module(f"configs.studies.{study}").get_config("")
    with pytest.raises(ValueError, match="beside the size"):
        importlib.import_module(f"configs.studies.{study}").get_config(f"{size},nowhere")
