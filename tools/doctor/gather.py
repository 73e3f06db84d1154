"""Asks the computer for what `tools.doctor.assess` judges. Nothing is changed, and every question ends within seconds."""

import errno
import os
import platform
import pwd
import shutil
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.listeners import listener_on
from tools.doctor.assess import FOLDER, READ, READ_WRITE, Access, Account, Computer, Disk, Inode, Port

if TYPE_CHECKING:
    from config import Site

_SERVICE_USER: Final = "nhip"
_UNIT: Final = "nhip-agent.service"
_WENT_BACK: Final = Path("/opt/nhip/went-back")
_PATIENCE_S: Final = 10.0
_BROKER_S: Final = 5.0


def account_of(name: str) -> Account:
    """The account of this name; "" for the service's where there is one, else for who asks. Raises `KeyError`."""
    if not name:
        with suppress(KeyError):
            return account_of(_SERVICE_USER)
        name = pwd.getpwuid(os.geteuid()).pw_name
    entry = pwd.getpwnam(name)
    return Account(name, entry.pw_uid, frozenset(os.getgrouplist(name, entry.pw_gid)))


def why_no_numpy() -> str:
    """Why NumPy cannot be imported, "" if it can. Asked in another process, since a processor that lacks an instruction ends
    the one that meets it.
    """
    asked = [sys.executable, "-c", "import numpy"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode == 0:
        return ""
    last = done.stderr.strip().splitlines()[-1:]
    return last[0] if last else f"signal {-done.returncode}"


def gather(
    numpy: str, site: "Site | None", site_file: Path, outbox: Path, account: Account, wanted_disk_mb: int
) -> Computer:
    """numpy: what `why_no_numpy` said; site: None without a site file that can be read; wanted_disk_mb: how large the outbox may
    grow.
    """
    existing = next(folder for folder in (outbox.parent, *outbox.absolute().parents) if folder.is_dir())
    paths = [_access(outbox.parent, FOLDER)]
    if outbox.exists():
        paths.append(_access(outbox, READ_WRITE))
    if site_file.exists():
        paths.append(_access(site_file, READ))
    devices = site.devices.values() if site else ()
    lines = [str(getattr(device, "port", "")) for device in devices]
    return Computer(
        bits=struct.calcsize("P") * 8,
        machine=platform.machine(),
        python=sys.version_info[:2],
        numpy=numpy,
        memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000,
        disk=Disk(
            str(existing), shutil.disk_usage(existing).free // 1_000_000, _medium(existing), _file_system(existing)
        ),
        wanted_disk_mb=wanted_disk_mb,
        year=datetime.now(UTC).year,
        synchronized=_synchronized(numpy),
        account=account,
        paths=tuple(paths),
        serial_ports=tuple(_access(Path(line), READ_WRITE) for line in sorted(set(lines)) if line.startswith("/")),
        ports=tuple(_port(address) for address in _listened(site)),
        unit=_unit_state(),
        went_back=_text(_WENT_BACK),
        broker=_broker(site),
    )


def _access(path: Path, needs: int) -> Access:
    path = path.absolute()
    above = [node for folder in reversed(path.parents) if (node := _node(folder))]
    read_only = False
    with suppress(OSError):
        read_only = bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    return Access(str(path), needs, tuple(above), _node(path), read_only)


def _node(path: Path) -> Inode | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return Inode(found.st_mode & 0o777, found.st_uid, found.st_gid)


def _medium(folder: Path) -> str:
    number = folder.stat().st_dev
    device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    whole = next((place for place in (device, device.parent) if (place / "queue").is_dir()), None)
    if whole is None:
        return ""
    if whole.name.startswith("mmcblk"):
        return "sd" if _text(whole / "device/type") == "SD" else "emmc"
    return "rotating" if _text(whole / "queue/rotational") == "1" else "ssd"


def _file_system(folder: Path) -> str:
    """The type of the file system that a folder is in, as mounted; "" without /proc."""
    number = folder.stat().st_dev
    wanted = f"{os.major(number)}:{os.minor(number)}"
    for line in _text(Path("/proc/self/mountinfo")).splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2] == wanted:
            return after.split()[0]
    return ""


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _synchronized(numpy: str) -> bool:
    if numpy:
        return False
    from agent.clock.system import SystemClock  # needs NumPy

    return SystemClock().ntp() is not None


def _listened(site: "Site | None") -> list[str]:
    """The addresses that the site file has the agent listen on."""
    listened = [site.metrics, site.andon.listen if site.andon else None] if site else []
    return sorted({str(address) for address in listened if address})


def _port(address: str) -> Port:
    host, _, port = address.rpartition(":")
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        return Port(address, str(error), listener_on(int(port)) if error.errno == errno.EADDRINUSE else "")
    return Port(address)


def _unit_state() -> str | None:
    if not Path("/run/systemd/system").is_dir():
        return None
    asked = ["systemctl", "show", _UNIT, "--property=LoadState,ActiveState"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return said.get("ActiveState", "") if said.get("LoadState") == "loaded" else ""


def _broker(site: "Site | None") -> tuple[str, str] | None:
    """Whether the broker's port answers; whether it lets this gateway in, the agent's log says."""
    if site is None or site.center is None:
        return None
    from agent.uplink.mqtt.broker import broker_of  # needs NumPy
    from config import Misconfigured

    try:
        broker = broker_of(site.center, site.site, site.gateway)
    except Misconfigured as error:
        return site.center.bundle, str(error)
    address = f"{broker.host}:{broker.port}"
    try:
        socket.create_connection((broker.host, broker.port), _BROKER_S).close()
    except OSError as error:
        return address, str(error)
    return address, ""
