"""Answers who asks on the same computer (`agent.view.now`): the gateway as of this moment."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent.devices.freshness import KnownValue
from agent.devices.supervisor import DeviceHealth
from agent.process.health import Health
from agent.reports.status import GatewayReport, live_machines
from agent.view.now import WITH_TAGS, AgentNow, DeviceNow, TagNow, short_address, socket_path

_LOG: Final = logging.getLogger("nhip.agent")
_TIMEOUT_S: Final = 5.0
_MOST_BYTES: Final = 64


def agent_now(report: GatewayReport, began_ns: int, addresses: Mapping[str, str], tags: bool) -> AgentNow:
    """The gateway as of now; times are gateway time. began_ns: steady time of its start; tags: with the last value of every
    tag.
    """
    acquisition = report.acquisition
    shift_ns = acquisition.clock.correction_ns
    known = acquisition.freshness.known() if tags else {}
    return AgentNow(
        pid=os.getpid(),
        began_ns=began_ns + shift_ns,
        status=report.status(),
        machines=live_machines(acquisition.dating.live, {}),
        devices={name: _device(item, shift_ns) for name, item in acquisition.devices.items()},
        tags={name: _tag(item, shift_ns) for name, item in known.items()},
        addresses=dict(addresses),
    )


def _device(item: DeviceHealth, shift_ns: int) -> DeviceNow:
    read_ns = None if item.last_read_ns is None else item.last_read_ns + shift_ns
    return DeviceNow(
        condition=item.condition,
        error=item.error,
        polls=item.polls,
        failures=item.failures,
        read_ns=read_ns,
        clock_off_s=item.clock_off_s,
    )


def _tag(item: KnownValue, shift_ns: int) -> TagNow:
    return TagNow(
        value=item.value if isinstance(item.value, bool | int | float | str) else None,
        quality=item.quality.name.lower(),
        t_ns=None if item.t_ns is None else item.t_ns + shift_ns,
        confirmed_ns=None if item.confirmed_ns is None else item.confirmed_ns + shift_ns,
    )


async def open_local(outbox: Path, now: Callable[[bool], AgentNow], health: Health) -> asyncio.Server | None:
    """Listens beside the outbox. now: the gateway as of now, with tags if it is called with True. Where the file system has
    no sockets it is counted and logged, and the agent runs on.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                asked = await reader.readuntil(b"\n")
                writer.write(now(asked == WITH_TAGS).model_dump_json().encode())
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            health.count("local_answers_failed")
        finally:
            writer.close()

    path = socket_path(outbox)
    try:
        with short_address(path) as place:
            server = await asyncio.start_unix_server(answer, place, limit=_MOST_BYTES)
            _admit_readers(outbox, place)
    except OSError as error:
        health.count("local_cannot_listen")
        _LOG.warning("nhip show sees the outbox only why=%r at=%s", str(error), path)
        return None
    return server


def _admit_readers(outbox: Path, place: str) -> None:
    """Who may read the outbox may ask."""
    readers = outbox.stat().st_mode & 0o444
    Path(place).chmod(readers | readers >> 1)


def close_local(server: asyncio.Server | None, outbox: Path) -> None:
    """Ends it, and removes the socket."""
    if server is not None:
        server.close()
        with suppress(OSError):
            socket_path(outbox).unlink(missing_ok=True)
