"""The metrics against independent packages, to 1e-3; skipped without the extra `bench`."""

import pytest

from tests.analysis.metrics.agreement import CASES, DIFFERENT, relative_difference


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_agrees(case):
    for metric, package, where, ours, theirs in case():
        assert relative_difference(ours, theirs) < 1e-3, (metric, package, where, ours, theirs)


@pytest.mark.parametrize("case", DIFFERENT, ids=lambda case: case.__name__)
def test_differs_by_what_lies_at_the_edges_alone(case):
    for metric, package, where, ours, theirs in case():
        assert 1e-4 < relative_difference(ours, theirs) < 0.03, (metric, package, where, ours, theirs)
