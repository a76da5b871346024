"""The spaces in which distances are taken, unless others are asked for."""

from pathlib import Path

from analysis.features import registry
from analysis.features.registry import FeatureNetwork

SPACES = "efficientnet_lite0,pixels_32"


def build_networks(names: str, cache: str | Path, dataset=None) -> list[FeatureNetwork]:
    """Feature networks by name, comma-separated; what they give, but for pixels, is kept in `cache`/features.

    Args:
      dataset: what `domain` learns from, see analysis/domain/features.py; it is kept there too.

    Raises:
      UserError: an unknown name, or weights that cannot be had.
    """
    from analysis.domain.features import NAME, domain_network
    from analysis.features.feature_cache import cached

    folder = Path(cache) / "features" if cache else None
    learned = lambda name: dataset and name == NAME  # noqa: E731
    networks = [domain_network(dataset, folder) if learned(name) else registry.build(name)
                for name in map(str.strip, names.split(","))]  # fmt: skip
    return [cached(net, Path(cache) / "features") if net.weights else net for net in networks]
