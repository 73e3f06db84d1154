"""Detects machines whose past was computed with another description.

The outbox keeps a digest of the description with which each machine's past was computed (`described`), and which
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
    """A digest of a machine, 16 hex digits: equal for equal machines, in every process."""
    return hashlib.sha256(json.dumps(_plain(machine)).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        hashed = (item.name for item in fields(value) if item.metadata.get("hashed", True))
        return [type(value).__name__, *(_plain(getattr(value, name)) for name in hashed)]
    if isinstance(value, Mapping):
        return sorted(([str(key), _plain(item)] for key, item in value.items()), key=lambda pair: pair[0])
    if isinstance(value, (frozenset, set)):
        return sorted(map(str, value))
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (int, float, bool, type(None))) else str(value)


def changes(settings: Mapping[str, str], machines: Mapping[str, Machine], now_ns: int) -> dict[str, str]:
    """The settings to write at a start: digests of the current descriptions, and the outdated machines."""
    before: dict[str, str] = json.loads(settings.get(DESCRIBED, "{}"))
    current = {name: fingerprint(machine) for name, machine in machines.items()}
    outdated_since = {name: t_ns for name, t_ns in outdated(settings).items() if name in current}
    outdated_since |= {
        name: now_ns
        for name, digest in current.items()
        if name not in outdated_since and before.get(name, digest) != digest
    }
    return {DESCRIBED: json.dumps(current), OUTDATED: json.dumps(outdated_since)}


def outdated(settings: Mapping[str, str]) -> dict[str, int]:
    """Machines whose past was computed with another description, and since when they have the current one [ns]."""
    since_ns: dict[str, int] = json.loads(settings.get(OUTDATED, "{}"))
    return since_ns


def forget_outdated(db: sqlite3.Connection, machine: str) -> None:
    """Notes that the machine's past was computed again; within the caller's transaction."""
    settings = dict(db.execute("select key, value from settings where key = ?", (OUTDATED,)))
    remaining = {name: t_ns for name, t_ns in outdated(settings).items() if name != machine}
    db.execute("insert or replace into settings values (?, ?)", (OUTDATED, json.dumps(remaining)))
