"""Reasons why a gateway refuses a declaration: a code and, after a space, a detail."""

from datetime import datetime, tzinfo

from words.catalogue import say
from words.formats import moment


def refusal(why: str, zone: tzinfo, lang: str) -> str:
    """The reason as a sentence; "" for none. zone: the site's, for a detail that is a time.

    An unknown code, from a newer gateway, is returned unchanged.
    """
    code, _, detail = why.partition(" ")
    try:
        at = datetime.fromisoformat(detail) if code == "too_old" else None
    except ValueError:
        at = None
    try:
        if at is not None and at.tzinfo is not None:
            return say("declare.why.too_old_before", lang, at=moment(at.astimezone(zone), lang))
        return say(f"declare.why.{code}", lang, detail=detail).rstrip() if code else ""
    except KeyError:
        return why
