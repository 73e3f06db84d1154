"""Passwords: argon2id, and not more of it at once than a small machine can bear."""

import secrets
import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST: Final = 10
LONGEST: Final = 200
_HASHER: Final = PasswordHasher()  # RFC 9106, second choice: 64 MiB, three passes
_AT_ONCE: Final = threading.BoundedSemaphore(2)
"""Each takes 64 MiB while it runs: a storm of logins must not take the center's memory."""


class BadPassword(ValueError):
    """A new password that is no good. code: `short`, `long` or `name`."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the new password is no good: {code}")
        self.code = code


def check_new(password: str, name: str) -> None:
    """Length alone makes a password strong. Raises `BadPassword`."""
    if len(password) < SHORTEST:
        raise BadPassword("short")
    if len(password) > LONGEST:
        raise BadPassword("long")
    if password.casefold() == name.casefold():
        raise BadPassword("name")


def generate() -> str:
    """A random one of about 95 bits."""
    return secrets.token_urlsafe(12)


def hashed(password: str) -> str:
    """What is kept of a password."""
    with _AT_ONCE:
        return _HASHER.hash(password)


def matches(kept: str, password: str) -> bool:
    """Whether it is the password; takes as long when there is none ("" is kept)."""
    with _AT_ONCE:
        try:
            return _HASHER.verify(kept or _NOBODY, password[:LONGEST]) and bool(kept)
        except (VerificationError, InvalidHashError):
            return False


_NOBODY: Final = _HASHER.hash(secrets.token_urlsafe(16))
