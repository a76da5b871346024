"""Values that every reader of JSON takes."""

import math
from typing import Any


def finite(value: Any) -> Any:
    """Plain JSON values with None in the place of NaN and Infinity, which JSON has not (RFC 8259, section 6)."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
