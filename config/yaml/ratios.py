"""Ratios in configuration files."""

import math
from typing import Annotated

from pydantic import BeforeValidator

from config.yaml.complaints import InvalidValue


def _ratio(given: object) -> object:
    """`65%` or `0.65` as a ratio."""
    text = str(given).strip()
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1:
        raise InvalidValue("bad_aimed_ratio", "not a ratio between 0 and 1; write for example 65% or 0.65")
    return value


AimedRatio = Annotated[float, BeforeValidator(_ratio)]
"""A ratio that is aimed at, above 0 and at most 1."""
