"""All texts for people, in Vietnamese and English, and the formats of numbers and times."""

from words.catalogue import complaint, say
from words.formats import (
    day_text,
    duration,
    fault_text,
    hours,
    link_trouble,
    moment,
    number,
    percent,
    refusal,
    value_text,
)
from words.languages import LANGUAGES, accepted_language

__all__ = [
    "LANGUAGES",
    "accepted_language",
    "complaint",
    "day_text",
    "duration",
    "fault_text",
    "hours",
    "link_trouble",
    "moment",
    "number",
    "percent",
    "refusal",
    "say",
    "value_text",
]
