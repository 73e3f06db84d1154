"""Every sentence for a person, Vietnamese and English side by side, and how numbers and times are written."""

from words.catalogue import LANGUAGES, complaint, say
from words.formats import duration, moment, number, percent

__all__ = ["LANGUAGES", "complaint", "duration", "moment", "number", "percent", "say"]
