"""Which languages there are, and which one a person reads. Pure."""

from collections.abc import Mapping
from typing import Final

LANGUAGES: Final = ("vi", "en")


def language_of(environment: Mapping[str, str]) -> str:
    """The language that environment variables ask for: `vi` if NHIP_LANG, LC_ALL or LANG (in this order) says so,
    else `en`."""
    chosen = environment.get("NHIP_LANG") or environment.get("LC_ALL") or environment.get("LANG") or ""
    return "vi" if chosen.lower().startswith("vi") else "en"
