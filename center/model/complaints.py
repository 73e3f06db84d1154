"""Complaints about the center's file that appear only at run time."""

import errno
from typing import Final

from config import Complaint, Misconfigured

_PASSING: Final = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EIO,
        errno.ESTALE,
        errno.EAGAIN,
        errno.EINTR,
        errno.EBUSY,
        errno.ENOMEM,
        errno.EMFILE,
        errno.ENFILE,
        errno.ETIMEDOUT,
        errno.ENODEV,
        errno.ENOTCONN,
        errno.EADDRNOTAVAIL,
    }
)


class NotReady(Misconfigured):
    """What the file names cannot be used at the moment, and nothing in the file has to change for it: a server that does
    not answer, a full disk, a file in use. Who starts a center waits; a command says it and ends.
    """


def misconfigured(key: str, value: object, code: str, **values: object) -> Misconfigured:
    """One complaint as an exception; `complaint.<code>` and its cure are in the message catalogue."""
    return Misconfigured([_complaint(key, value, code, values)])


def not_ready(key: str, value: object, code: str, **values: object) -> NotReady:
    """The same for what passes."""
    return NotReady([_complaint(key, value, code, values)])


def _complaint(key: str, value: object, code: str, values: dict[str, object]) -> Complaint:
    texts = {name: str(text) for name, text in values.items()}
    return Complaint("center", 0, key, str(value), code, texts)


def is_passing(error: OSError) -> bool:
    """Whether an error of the operating system may be gone at the next try: a full or failing disk, not a wrong name or
    missing rights.
    """
    return error.errno in _PASSING
