"""What a running agent knows beyond its outbox, asked on the same computer: devices, last values, what machines do now.

The agent listens on a Unix socket beside the outbox, `<outbox>.now`. Whoever connects sends one line, `now` or `now tags`,
and gets one JSON object (`AgentNow`). Nothing is computed or written while nobody asks, and nothing can be changed by asking.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from wire.bodies import LiveMachine, Status

PLAIN: Final = b"now\n"
WITH_TAGS: Final = b"now tags\n"
_LONGEST_PATH: Final = 100
"""A Unix socket's address holds 107 bytes."""


class _Answer(BaseModel):
    """A newer agent may send more."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class DeviceNow(_Answer):
    """A device. condition: connecting, up, lost or misconfigured; error: why it is not up, as its log says it; polls, failures: since the start;
    read_ns: its last reading [ns UTC]; clock_off_s: gateway time minus its own clock [s].
    """

    condition: str
    error: str = ""
    polls: int = 0
    failures: int = 0
    read_ns: int | None = None
    clock_off_s: float | None = None


class TagNow(_Answer):
    """A tag's last value. quality: good, uncertain, bad or gap; t_ns: since when it has this value; confirmed_ns: until when
    it was confirmed [ns UTC], None if it never was.
    """

    value: Any = None
    quality: str
    t_ns: int | None = None
    confirmed_ns: int | None = None


class AgentNow(_Answer):
    """A running agent. began_ns: when it started [ns UTC]; tags: by `device.tag`, empty if not asked for; addresses: where it
    serves something, such as `metrics`, by name.
    """

    pid: int
    began_ns: int
    status: Status
    machines: dict[str, LiveMachine]
    devices: dict[str, DeviceNow] = {}
    tags: dict[str, TagNow] = {}
    addresses: dict[str, str] = {}


@dataclass(frozen=True)
class Heard:
    """What came of asking. why: "" with an answer; `none`: no agent listens; `refused`: this person may not ask; `silent`: it
    does not answer in time; `foreign`: the answer cannot be read.
    """

    now: AgentNow | None
    why: Literal["", "none", "refused", "silent", "foreign"] = ""


def socket_path(outbox: Path) -> Path:
    """Where the agent that has this outbox open listens."""
    return Path(f"{outbox}.now")


@contextmanager
def short_address(path: Path) -> Iterator[str]:
    """An address of this socket that fits into its 107 bytes; valid within the block."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def ask(outbox: Path, *, tags: bool = False, timeout_s: float = 3.0) -> Heard:
    """Asks the agent that has this outbox open. tags: also for the last value of every tag."""
    try:
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection,
            short_address(socket_path(outbox)) as place,
        ):
            connection.settimeout(timeout_s)
            connection.connect(place)
            connection.sendall(WITH_TAGS if tags else PLAIN)
            data = b"".join(iter(lambda: connection.recv(65536), b""))
    except PermissionError:
        return Heard(None, "refused")
    except TimeoutError:
        return Heard(None, "silent")
    except OSError:  # no such socket, or its agent has ended
        return Heard(None, "none")
    try:
        return Heard(AgentNow.model_validate_json(data))
    except ValidationError:
        return Heard(None, "foreign")
