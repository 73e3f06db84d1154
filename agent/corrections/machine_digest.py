"""Which machines have a past that was computed with another description.

The outbox remembers a digest of the description with which each machine's past was computed (`described`), and which
machines have a past that was computed with another one (`outdated`, with the time of the change), until they are
recomputed.
"""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from oee.model.machine import Machine

DESCRIBED: Final = "described"
OUTDATED: Final = "outdated"
CONFIG: Final = "config_hash"
"""Settings of the outbox; the last is the hash of the site file that the agent runs with."""


def fingerprint(machine: Machine) -> str:
    """16 hex digits; equal for equal machines, in every process."""
    return hashlib.sha256(json.dumps(_plain(machine)).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, *(_plain(getattr(value, item.name)) for item in fields(value))]
    if isinstance(value, Mapping):
        return sorted(([str(key), _plain(item)] for key, item in value.items()), key=lambda pair: pair[0])
    if isinstance(value, (frozenset, set)):
        return sorted(map(str, value))
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (int, float, bool, type(None))) else str(value)


def changes(settings: Mapping[str, str], machines: Mapping[str, Machine], now_ns: int) -> dict[str, str]:
    """The settings to be written at a start: digests of the descriptions of now, and machines whose past has another."""
    before: dict[str, str] = json.loads(settings.get(DESCRIBED, "{}"))
    now = {name: fingerprint(machine) for name, machine in machines.items()}
    old = {name: t_ns for name, t_ns in outdated(settings).items() if name in now}
    old |= {name: now_ns for name, text in now.items() if name not in old and before.get(name, text) != text}
    return {DESCRIBED: json.dumps(now), OUTDATED: json.dumps(old)}


def outdated(settings: Mapping[str, str]) -> dict[str, int]:
    """Machines whose past was computed with another description, and since when they have the present one [ns]."""
    found: dict[str, int] = json.loads(settings.get(OUTDATED, "{}"))
    return found


def forget_outdated(db: sqlite3.Connection, machine: str) -> None:
    """Notes that the machine's past was computed again; within the caller's transaction."""
    settings = dict(db.execute("select key, value from settings where key = ?", (OUTDATED,)))
    left = {name: t_ns for name, t_ns in outdated(settings).items() if name != machine}
    db.execute("insert or replace into settings values (?, ?)", (OUTDATED, json.dumps(left)))
