"""Which languages there are, and which one a person reads. Pure."""

from collections.abc import Mapping
from typing import Final

LANGUAGES: Final = ("vi", "en")


def language_of(environment: Mapping[str, str]) -> str:
    """The language that environment variables ask for: `vi` if NHIP_LANG, LC_ALL or LANG (in this order) says so,
    else `en`."""
    chosen = environment.get("NHIP_LANG") or environment.get("LC_ALL") or environment.get("LANG") or ""
    return "vi" if chosen.lower().startswith("vi") else "en"


def accepted_language(header: str) -> str:
    """The language that a browser's `Accept-Language` prefers among those that there are; "" if it accepts none of them."""
    weighed = []
    for place, item in enumerate(header.split(",")):
        tag, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = next((_weight(text[2:]) for text in parameters if text.startswith("q=")), 1.0)
        if weight > 0 and (language := tag.partition("-")[0]) in LANGUAGES:
            weighed.append((-weight, place, language))
    return min(weighed)[2] if weighed else ""


def _weight(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0
