"""Password hashing with argon2id. Checking at a login has a place of its own: `center.accounts.hashing`."""

import secrets
from base64 import b64encode
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

SHORTEST: Final = 10
LONGEST: Final = 200
_HASHER: Final = PasswordHasher()  # RFC 9106, second choice: 64 MiB, three passes


class BadPassword(ValueError):
    """A new password is not acceptable. code: `short`, `long` or `name` (the same as the account's)."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the new password is not acceptable: {code}")
        self.code = code


def check_new(password: str, name: str) -> None:
    """Only the length is checked, as NIST SP 800-63B advises. Raises `BadPassword`."""
    if len(password) < SHORTEST:
        raise BadPassword("short")
    if len(password) > LONGEST:
        raise BadPassword("long")
    if password.casefold() == name.casefold():
        raise BadPassword("name")


def generate() -> str:
    """A random password of about 95 bits."""
    return secrets.token_urlsafe(12)


def hashed(password: str) -> str:
    """The hash to store."""
    return _HASHER.hash(password)


def matches(stored: str, password: str) -> bool:
    """Whether the password matches the stored hash; takes equally long without one (""), so that timing reveals nothing."""
    try:
        return _HASHER.verify(stored or _DUMMY, password[:LONGEST]) and bool(stored)
    except (VerificationError, InvalidHashError):
        return False


def _of_nobody() -> str:
    """A hash that takes as long to check as any other and that no password has. Made up: a real one takes a quarter of a second of
    every start.
    """
    salt, digest = (
        b64encode(secrets.token_bytes(n)).decode().rstrip("=") for n in (_HASHER.salt_len, _HASHER.hash_len)
    )
    costs = f"m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${costs}${salt}${digest}"


_DUMMY: Final = _of_nobody()
