"""The packager's key, and signatures that `nhip verify`, minisign and signify read.

    scripts/sign new FILE            a pair of keys: FILE (secret, with a passphrase) and FILE.pub
    scripts/sign sums FILE SUMS...   signs each SUMS (SHA256SUMS, for example) into SUMS.minisig

The secret key is PEM (PKCS 8), which openssl can read too; NHIP_SIGN_PASSPHRASE takes the place of the question for its
passphrase. One key and content give one signature, so that a signed release is reproducible.
"""

import argparse
import base64
import hashlib
import os
import sys
from getpass import getpass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from tools.verify.minisign import PLAIN, TRUSTED, UNTRUSTED, PublicKey  # noqa: E402


class NoKey(Exception):
    """A secret key cannot be read; the text says why."""


def main() -> int:
    """Exit status 0; 2 where a key cannot be read or must not be replaced."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("new").add_argument("key", type=Path)
    signer = what.add_parser("sums")
    signer.add_argument("key", type=Path)
    signer.add_argument("sums", type=Path, nargs="+")
    signer.add_argument("--comment", default="", help="signed with it, and shown by who verifies")
    options = parser.parse_args()
    try:
        if options.what == "new":
            print(new_key(options.key))
        else:
            secret = read_secret(options.key)
            for sums in options.sums:
                print(sign(sums, secret, options.comment or sums.name))
    except NoKey as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def new_key(file: Path) -> Path:
    """Writes a pair of keys and returns the path of the public one. Never replaces a key."""
    if file.exists():
        raise NoKey(f"{file} is there already, and what it signed needs it: name another file")
    passphrase = _passphrase(file, confirm=True)
    secret = Ed25519PrivateKey.generate()
    protection = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    pem = secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)
    file.touch(0o600, exist_ok=False)
    file.write_bytes(pem)
    public = file.with_name(f"{file.name}.pub")
    public.write_text(public_text(secret), encoding="utf-8")
    return public


def read_secret(file: Path) -> Ed25519PrivateKey:
    """Raises `NoKey`."""
    try:
        pem = file.read_bytes()
        passphrase = _passphrase(file) if b"ENCRYPTED" in pem else None
        secret = load_pem_private_key(pem, passphrase)
    except (OSError, ValueError, TypeError) as error:
        raise NoKey(f"{file} is no secret key, or the passphrase is wrong: {error}") from None
    if not isinstance(secret, Ed25519PrivateKey):
        raise NoKey(f"{file} is a key of another kind than Ed25519")
    return secret


def public_key(secret: Ed25519PrivateKey) -> PublicKey:
    """Its number follows from the key, so that the secret file alone is enough to keep."""
    raw = secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return PublicKey(hashlib.sha256(raw).digest()[:8], raw)


def public_text(secret: Ed25519PrivateKey) -> str:
    """The public key as minisign and signify read it."""
    key = public_key(secret)
    return f"{UNTRUSTED}minisign public key {key.name}\n{_base64(PLAIN + key.number + key.raw)}\n"


def sign(sums: Path, secret: Ed25519PrivateKey, comment: str) -> Path:
    """Writes the signature beside the file. comment: one line; minisign and `nhip verify` show it."""
    key = public_key(secret)
    signature = secret.sign(sums.read_bytes())
    lines = (
        f"{UNTRUSTED}signature by the key {key.name}",
        _base64(PLAIN + key.number + signature),
        f"{TRUSTED}{comment}",
        _base64(secret.sign(signature + comment.encode())),
    )
    beside = sums.with_name(f"{sums.name}.minisig")
    beside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return beside


def _passphrase(file: Path, *, confirm: bool = False) -> bytes:
    given = os.environ.get("NHIP_SIGN_PASSPHRASE")
    if given is not None:
        return given.encode()
    word = getpass(f"passphrase of {file}: ")
    if confirm and getpass("once more: ") != word:
        raise NoKey("the two passphrases differ")
    return word.encode()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


if __name__ == "__main__":
    sys.exit(main())
