"""Contents of Mosquitto's password file and ACL file. Pure.

Lines of other accounts stay as they are: the operator's own, comments, rules for everybody.
"""

import base64
import hashlib
from collections.abc import Collection, Mapping
from typing import Final

ITERATIONS: Final = 101
"""Mosquitto's default. A secret of 192 random bits gains nothing from more, which the broker would pay at every connect."""
_HASH_BYTES: Final = 64


def hashed(secret: str, salt: bytes) -> str:
    """The hash of a secret as Mosquitto 1.6 and newer stores it: `$7$iterations$salt$hash`, PBKDF2 with HMAC-SHA-512.

    mosquitto_passwd.c and password_mosq.h (Eclipse Mosquitto 2.0).
    """
    digest = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, ITERATIONS, _HASH_BYTES)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def passwords_text(before: str, hashes: Mapping[str, str], removed: Collection[str]) -> str:
    """The password file with these accounts added or replaced, and others removed."""
    other_lines = [line for line in before.splitlines() if line.partition(":")[0] not in {*hashes, *removed}]
    return "".join(
        f"{line}\n" for line in (*other_lines, *(f"{name}:{digest}" for name, digest in sorted(hashes.items())))
    )


def rules_text(before: str, rules: Mapping[str, str], removed: Collection[str]) -> str:
    """The ACL file with the blocks of these accounts added or replaced, and others removed.

    A block is a line `user NAME` and what follows up to the next one; lines before the first apply to everybody.
    """
    other_blocks = [
        block.strip("\n") for name, block in _blocks(before) if name is None or name not in {*rules, *removed}
    ]
    own = [rules[name].rstrip("\n") for name in sorted(rules)]
    return "".join(f"{block}\n\n" for block in (*other_blocks, *own) if block).rstrip("\n") + "\n"


def _blocks(text: str) -> list[tuple[str | None, str]]:
    """Name and text of each block; a comment belongs to the line below it."""
    blocks: list[tuple[str | None, str]] = [(None, "")]
    above = ""
    for line in text.splitlines():
        words = line.split(maxsplit=1)
        if not words or words[0].startswith("#"):
            above += f"{line}\n"
            continue
        if len(words) == 2 and words[0] == "user":
            blocks.append((words[1].strip(), ""))
        name, block = blocks[-1]
        blocks[-1] = (name, f"{block}{above}{line}\n")
        above = ""
    return [*blocks, (None, above)]
