"""Accounts, tokens and changes in words, the same on the console's pages and in the commands. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from center.accounts.audit import AuditEntry
from center.accounts.people import ALL_SITES
from center.accounts.tokens import Token
from words import moment, say
from words.catalogue import catalogue


def time_text(t_ns: int | None, lang: str) -> str:
    """A time in UTC, or "never" for 0 and None."""
    if not t_ns:
        return say("accounts.never", lang)
    return f"{moment(datetime.fromtimestamp(t_ns // 1_000_000_000, UTC), lang)} UTC"


def sites_text(sites: Iterable[str] | None, lang: str) -> str:
    """The sites that may be seen; None for all."""
    if sites is None:
        return say("accounts.all_sites", lang)
    return ", ".join(sorted(sites)) or say("accounts.no_sites", lang)


def is_expired(token: Token, now_ns: int) -> bool:
    """Whether a token is valid no more."""
    return token.expires_ns is not None and token.expires_ns <= now_ns


def expiry_text(token: Token, now_ns: int, lang: str) -> str:
    """When a token expires or has expired."""
    if token.expires_ns is None:
        return say("admin.no_expiry", lang)
    key = "admin.expired" if is_expired(token, now_ns) else "admin.expires"
    return say(key, lang, when=time_text(token.expires_ns, lang))


def change_text(entry: AuditEntry, lang: str) -> str:
    """What a change was about."""
    key = f"audit.what.{entry.what}"
    return say(key, lang, about=entry.about) if key in catalogue() else f"{entry.what} {entry.about}"


def detail_text(entry: AuditEntry, lang: str) -> str:
    """Its further values; "" without any."""
    details = ((f"audit.detail.{name}", _plain(name, value, lang)) for name, value in entry.detail.items() if value)
    return " · ".join(f"{say(name, lang) if name in catalogue() else name}: {value}" for name, value in details)


def _plain(name: str, value: Any, lang: str) -> str:
    if name.endswith("_ns"):
        return time_text(int(value), lang)
    named = {"stage": f"action_state.{value}"}.get(name, f"accounts.{name}.{value}")  # else a role or a scope
    if named in catalogue():
        return say(named, lang)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return say("accounts.all_sites", lang) if value == ALL_SITES else str(value)
