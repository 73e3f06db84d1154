"""Complaints about the center's file that appear only at run time."""

from config import Complaint, Misconfigured


def misconfigured(key: str, value: object, code: str, **values: object) -> Misconfigured:
    """One complaint as an exception; `complaint.<code>` and its cure are in the message catalogue."""
    texts = {name: str(text) for name, text in values.items()}
    return Misconfigured([Complaint("center", 0, key, str(value), code, texts)])
