"""The spaces in which distances are taken, unless others are asked for."""

from pathlib import Path

from analysis.features import registry
from analysis.features.registry import FeatureNetwork

SPACES = "efficientnet_lite0,pixels_32"


def build_networks(names: str, cache: str | Path) -> list[FeatureNetwork]:
    """Feature networks by name, comma-separated; what they give, but for pixels, is kept in `cache`/features.

    Raises:
      UserError: an unknown name, or weights that cannot be had.
    """
    from analysis.features.feature_cache import cached

    networks = [registry.build(name.strip()) for name in names.split(",")]
    return [cached(net, Path(cache) / "features") if net.weights else net for net in networks]
