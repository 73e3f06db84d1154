"""Faults as text: what was observed, its usual causes, and what to inspect in the cabinet. Pure."""

from adapters.contract import Fault
from words import say


def sentence(fault: Fault, lang: str) -> str:
    """What was observed."""
    return say(f"fault.{fault.code}", lang, **fault.values)


def causes(fault: Fault, lang: str) -> str:
    """Its usual causes, the most likely first."""
    return say(f"fault.{fault.code}.causes", lang, **fault.values)


def where_to_look(fault: Fault, lang: str) -> str:
    """What to inspect."""
    return say(f"fault.{fault.code}.look", lang, **fault.values)


def full_text(fault: Fault, lang: str) -> str:
    """All of it, a line each."""
    lines = [sentence(fault, lang) + (f" [{fault.detail}]" if fault.detail else "")]
    lines.append(f"  {say('fault.heading.causes', lang)}: {causes(fault, lang)}")
    lines.append(f"  {say('fault.heading.look', lang)}: {where_to_look(fault, lang)}")
    return "\n".join(lines)
