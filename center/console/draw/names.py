"""Names of things in the language of the page. Pure."""

from collections.abc import Mapping
from typing import Any

from words import say

Row = Mapping[str, Any]


def named(names: Mapping[str, str], lang: str, otherwise: str) -> str:
    """A name in the language; else in the other one, else the id."""
    return names.get(lang) or next((text for text in names.values() if text), otherwise)


def reason_name(reason: str, reasons: Mapping[str, Row], lang: str) -> str:
    """A reason in the language; one that no site file names is its own name."""
    return named(reasons[reason]["name"], lang, reason) if reason in reasons else reason


def product_name(product: str, products: Mapping[str, Row], lang: str) -> str:
    """A product in the language."""
    if product in ("", "?"):
        return say("product.unknown", lang)
    return named(products[product]["name"], lang, product) if product in products else product
