"""What is missing on a computer, from facts about it. Pure.

Each finding is one sentence of `words/tools_doctor.yaml`, `doctor.<topic>.<what>`, which says the value and, where something is
wrong, what to do next.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

OLDEST_PYTHON: Final = (3, 11)
LEAST_MEMORY_MB: Final = 450
"""What a computer that is sold with 512 MB reports."""
LEAST_DISK_MB: Final = 200
_READ, _WRITE, _SEARCH = 4, 2, 1
READ: Final = _READ
READ_WRITE: Final = _READ | _WRITE
FOLDER: Final = _READ | _WRITE | _SEARCH
_VOLATILE: Final = ("tmpfs", "ramfs")
_REMOTE: Final = ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs")


class Severity(StrEnum):
    """How bad a finding is: `FAIL` keeps the agent from working, `WARN` costs something later."""

    FINE = "fine"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Diagnosis:
    """key: `doctor.<key>` is the sentence, with these values."""

    level: Severity
    key: str
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Inode:
    """A file, device or folder on the way to one: its permission bits and owner."""

    mode: int
    uid: int
    gid: int


@dataclass(frozen=True)
class Account:
    """Who shall run the agent. groups: ids, the first one included."""

    name: str
    uid: int
    groups: frozenset[int]


@dataclass(frozen=True)
class Access:
    """A path and what the agent needs of it. above: the folders that lead there; node: None if it is not there."""

    path: str
    needs: int
    above: tuple[Inode, ...]
    node: Inode | None
    is_on_read_only_disk: bool = False


@dataclass(frozen=True)
class Port:
    """An address that the site file has the agent listen on. taken_by: the process that has it, or ""; why: the system's
    refusal, "" if it is free.
    """

    address: str
    why: str = ""
    taken_by: str = ""


@dataclass(frozen=True)
class Disk:
    """Where the outbox lies. medium: `ssd`, `rotating`, `sd`, `emmc`, "" if unknown; system: file system, as mounted."""

    path: str
    free_mb: int
    medium: str
    system: str


@dataclass(frozen=True)
class Computer:
    """What was found out. numpy: why it cannot be imported, "" if it can; synchronized: by NTP, as the kernel says;
    unit: systemd's state of the service, "" without such a unit, None without systemd; went_back: the note of a version that did not
    start; broker: its address and why it cannot be reached, None where the site file names none or there is no site file.
    """

    bits: int
    machine: str
    python: tuple[int, int]
    numpy: str
    memory_mb: int
    disk: Disk
    wanted_disk_mb: int
    year: int
    synchronized: bool
    account: Account
    paths: tuple[Access, ...] = ()
    serial_ports: tuple[Access, ...] = ()
    ports: tuple[Port, ...] = ()
    unit: str | None = None
    went_back: str = ""
    broker: tuple[str, str] | None = None


def assess(computer: Computer) -> list[Diagnosis]:
    """All findings, in the order in which they are to be read; the first that fails is to be mended first."""
    found = [*_program(computer), *_disk(computer), *_clock(computer)]
    found += (_access(item, computer.account, "path") for item in computer.paths)
    found += (_access(item, computer.account, "serial") for item in computer.serial_ports)
    return [*found, *map(_port, computer.ports), *_service(computer), *_broker(computer)]


def allowed(item: Access, account: Account) -> bool:
    """Whether the account may do with an existing path what it needs to; root may always."""
    if item.node is None or (item.is_on_read_only_disk and item.needs & _WRITE):
        return False
    if account.uid == 0:
        return True
    return _bits(item.node, account) & item.needs == item.needs and all(
        _bits(folder, account) & _SEARCH for folder in item.above
    )


def _bits(node: Inode, account: Account) -> int:
    """What the permission bits allow: only the first class that fits counts."""
    if node.uid == account.uid:
        return node.mode >> 6 & 7
    return node.mode >> 3 & 7 if node.gid in account.groups else node.mode & 7


def _program(computer: Computer) -> Iterator[Diagnosis]:
    yield _judged(computer.bits == 64, Severity.FAIL, "bits", bits=computer.bits, machine=computer.machine)
    python = ".".join(map(str, computer.python))
    yield _judged(computer.python >= OLDEST_PYTHON, Severity.FAIL, "python", version=python)
    yield _judged(not computer.numpy, Severity.FAIL, "numpy", why=computer.numpy)
    yield _judged(computer.memory_mb >= LEAST_MEMORY_MB, Severity.WARN, "memory", mb=computer.memory_mb)


def _disk(computer: Computer) -> Iterator[Diagnosis]:
    disk = computer.disk
    values = {"path": disk.path, "free": disk.free_mb, "wanted": computer.wanted_disk_mb}
    if disk.free_mb < LEAST_DISK_MB:
        yield Diagnosis(Severity.FAIL, "disk.full", values)
    else:
        yield _judged(disk.free_mb >= computer.wanted_disk_mb, Severity.WARN, "disk", **values)
    if disk.system in _VOLATILE:
        yield Diagnosis(Severity.FAIL, "medium.volatile", {"path": disk.path, "system": disk.system})
    elif disk.system in _REMOTE:
        yield Diagnosis(Severity.WARN, "medium.remote", {"path": disk.path, "system": disk.system})
    elif disk.medium == "sd":
        yield Diagnosis(Severity.WARN, "medium.sd", {"path": disk.path})
    else:
        known = disk.medium in ("ssd", "rotating", "emmc")
        yield Diagnosis(Severity.FINE, f"medium.{disk.medium if known else 'unknown'}", {"system": disk.system})


def _clock(computer: Computer) -> Iterator[Diagnosis]:
    if computer.year < 2026:  # older than the program
        yield Diagnosis(Severity.FAIL, "clock.wrong", {"year": computer.year})
    else:
        yield _judged(computer.synchronized, Severity.WARN, "clock")


def _access(item: Access, account: Account, topic: str) -> Diagnosis:
    values = {"path": item.path, "user": account.name}
    if item.node is None:
        return Diagnosis(Severity.FAIL, f"{topic}.missing", values)
    if item.is_on_read_only_disk and item.needs & _WRITE:
        return Diagnosis(Severity.FAIL, f"{topic}.read_only", values)
    return _judged(allowed(item, account), Severity.FAIL, topic, **values)


def _port(port: Port) -> Diagnosis:
    values = {"address": port.address, "by": port.taken_by, "why": port.why}
    if not port.why or port.taken_by.startswith("nhip agent"):
        return Diagnosis(Severity.FINE, "port.fine", values)
    return Diagnosis(Severity.FAIL, "port.taken" if port.taken_by else "port.refused", values)


def _service(computer: Computer) -> Iterator[Diagnosis]:
    if computer.unit is None:
        yield Diagnosis(Severity.WARN, "unit.no_systemd")
    elif not computer.unit:
        yield Diagnosis(Severity.WARN, "unit.missing")
    elif computer.unit in ("active", "activating", "reloading"):
        yield Diagnosis(Severity.FINE, "unit.fine", {"state": computer.unit})
    else:
        yield Diagnosis(
            Severity.FAIL if computer.unit == "failed" else Severity.WARN,
            f"unit.{_known(computer.unit)}",
            {"state": computer.unit},
        )
    if computer.went_back:
        yield Diagnosis(Severity.WARN, "unit.went_back", {"note": computer.went_back})


def _known(state: str) -> str:
    return "failed" if state == "failed" else "inactive"


def _broker(computer: Computer) -> Iterator[Diagnosis]:
    if computer.broker:
        address, why = computer.broker
        yield _judged(not why, Severity.WARN, "broker", address=address, why=why)


def _judged(is_fine: bool, otherwise: Severity, topic: str, **values: object) -> Diagnosis:
    return Diagnosis(Severity.FINE if is_fine else otherwise, f"{topic}.fine" if is_fine else f"{topic}.bad", values)


def worst(findings: Iterable[Diagnosis]) -> Severity:
    """The worst level; `FINE` without any finding."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Severity.FAIL, Severity.WARN) if level in levels), Severity.FINE)
