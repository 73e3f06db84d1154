"""Public keys and signatures as minisign writes them: Ed25519 (RFC 8032) in lines of base64.

OpenBSD's signify reads the same two files; it ignores the trusted comment. Format: the manual page minisign(1).
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PLAIN: Final = b"Ed"
"""The content itself is signed; signify knows only this."""
HASHED: Final = b"ED"
"""Its BLAKE2b-512 is signed: what minisign does unless it is told otherwise."""
UNTRUSTED: Final = "untrusted comment: "
TRUSTED: Final = "trusted comment: "
_NUMBER_BYTES: Final = 8


class Unreadable(ValueError):
    """A text is no public key or no signature."""


@dataclass(frozen=True)
class PublicKey:
    """number: tells keys apart, and proves nothing; raw: 32 bytes."""

    number: bytes
    raw: bytes

    @property
    def name(self) -> str:
        """The number as minisign shows it."""
        return self.number[::-1].hex().upper()


@dataclass(frozen=True)
class Signature:
    """algorithm: `PLAIN` or `HASHED`; number: that of the key; of_comment: signature of `of_content` and the comment."""

    algorithm: bytes
    number: bytes
    of_content: bytes
    comment: str
    of_comment: bytes


def read_public_key(text: str) -> PublicKey:
    """The key of a `.pub` file, or of its second line alone, as it stands on a label. Raises `Unreadable`."""
    lines = [line for line in text.splitlines() if not line.startswith(UNTRUSTED)]
    raw = _bytes(lines[0] if lines else "", len(PLAIN) + _NUMBER_BYTES + 32)
    if raw[:2] != PLAIN:
        raise Unreadable
    return PublicKey(raw[2:10], raw[10:])


def read_signature(text: str) -> Signature:
    """The signature of a `.minisig` file. Raises `Unreadable`, also where it was cut off."""
    lines = text.splitlines()
    if len(lines) < 4 or not lines[0].startswith(UNTRUSTED) or not lines[2].startswith(TRUSTED):
        raise Unreadable
    raw = _bytes(lines[1], len(PLAIN) + _NUMBER_BYTES + 64)
    if raw[:2] not in (PLAIN, HASHED):
        raise Unreadable
    return Signature(raw[:2], raw[2:10], raw[10:], lines[2].removeprefix(TRUSTED), _bytes(lines[3], 64))


def is_signed(content: bytes, signature: Signature, key: PublicKey) -> bool:
    """Whether this key signed both the content and the trusted comment."""
    signer = Ed25519PublicKey.from_public_bytes(key.raw)
    signed = hashlib.blake2b(content).digest() if signature.algorithm == HASHED else content
    try:
        signer.verify(signature.of_content, signed)
        signer.verify(signature.of_comment, signature.of_content + signature.comment.encode())
    except InvalidSignature:
        return False
    return True


def _bytes(line: str, length: int) -> bytes:
    try:
        raw = base64.b64decode(line.strip(), validate=True)
    except (ValueError, binascii.Error):
        raise Unreadable from None
    if len(raw) != length:
        raise Unreadable
    return raw
