"""The settings of this store in the center's file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from center.model.complaints import misconfigured
from center.model.retention import retention_ns
from center.stores.influxdb.server import Address

_KEYS: Final = {
    "url",
    "database",
    "org",
    "username",
    "password_file",
    "token_file",
    "ca_file",
    "cache",
    "retention",
    "replication",
    "timeout_s",
}
_DATABASE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
S_NS: Final = 1_000_000_000


@dataclass(frozen=True)
class InfluxSettings:
    """retention_s: 0 for ever, None leaves the server's. cache: file of hourly sums."""

    address: Address
    database: str
    retention_s: int | None
    replication: int
    cache: Path


def read_settings(settings: Mapping[str, str | int | float | bool]) -> InfluxSettings:
    """The settings, validated; secrets are read from their files. Raises `Misconfigured`."""
    if unknown := set(settings) - _KEYS:
        known = ", ".join(sorted(_KEYS))
        raise misconfigured(f"store.{min(unknown)}", settings[min(unknown)], "unknown_key", known=known)
    text = {key: str(value) for key, value in settings.items()}
    url = text.get("url", "")
    if not re.match(r"https?://[^/]", url):
        raise misconfigured("store.url", url, "invalid", detail="write for example url: http://127.0.0.1:8086")
    database = text.get("database", "nhip")
    if not _DATABASE.fullmatch(database):
        raise misconfigured("store.database", database, "invalid", detail="letters, digits and _ . - only")
    ca_file, timeout_s = text.get("ca_file", ""), _number(text, "timeout_s", 60)
    address = Address(url.rstrip("/"), text.get("org", ""), _token(text), ca_file, timeout_s)
    retention_s = retention_ns(text) // S_NS if "retention" in text else None
    cache = Path(text.get("cache", "nhip-hours.duckdb"))
    return InfluxSettings(address, database, retention_s, _number(text, "replication", 1), cache)


def _number(settings: Mapping[str, str], key: str, default: int) -> int:
    text = settings.get(key, str(default))
    if not text.isdecimal() or not int(text):
        detail = f"write a whole number, at least 1; the default is {default}"
        raise misconfigured(f"store.{key}", text, "invalid", detail=detail)
    return int(text)


def _token(settings: Mapping[str, str]) -> str:
    """The secret for the header: a 2.x token, or user and password of a 1.x server."""

    def secret(key: str) -> str:
        try:
            return Path(settings[key]).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise misconfigured(f"store.{key}", settings[key], "invalid", detail=error) from error

    if "token_file" in settings:
        token = secret("token_file")
        if not token.isascii() or not token.isprintable():
            detail = "not a token: it must be printable ASCII"
            raise misconfigured("store.token_file", settings["token_file"], "invalid", detail=detail)
        return token
    if "username" in settings:
        return f"{settings['username']}:{secret('password_file') if 'password_file' in settings else ''}"
    return ""
