"""The live factory: optionally writes its history to files, then runs real servers in real time, from one model."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulator import truth
from simulator.behaviour.machine import SimulatedMachine
from simulator.control import BadRequest, ControlServer
from simulator.factory import Factory, MachineSpec
from simulator.history import Writer
from simulator.plant import Plant
from simulator.plc.modbus import ModbusPlc
from simulator.plc.opcua import OpcUaPlc
from simulator.plc.readings import at, next_change
from simulator.plc.signals import NAMESPACES, PLCS, ModbusRegister, OpcUaNode

TICK_S = 0.02
_AHEAD_NS = 3_000_000_000
_SECOND_NS = 1_000_000_000
EVENTS = ("breakdown", "minor_stop", "changeover", "offline")


class CannotListen(Exception):
    """A port is taken, or no port of this computer. device: whose it was to be, `http` for the control port."""

    def __init__(self, device: str, host: str, port: int, why: object) -> None:
        super().__init__(f"{device} cannot listen on {host}:{port}: {why}")
        self.device, self.host, self.port = device, host, port


def wall_ns() -> Callable[[], int]:
    """A clock that starts at the system's time and then only goes forward [ns UTC]."""
    offset_ns = time.time_ns() - time.monotonic_ns()
    return lambda: time.monotonic_ns() + offset_ns


async def run(
    factory: Factory,
    *,
    stop: asyncio.Event,
    history_from_ns: int | None = None,
    history: Path | None = None,
    ports_file: Path | None = None,
    http_port: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_live: Callable[["LivePlant", dict[str, str]], None] = lambda _plant, _addresses: None,
    now_ns: Callable[[], int] | None = None,
) -> None:
    """Serves the factory until `stop` is set.

    The servers listen first and the ports file is written, {device: "host:port" or URL} and `"http": "host:port"`
    if `http_port` is given (0: any); until the model has caught up with the clock they answer "busy". With
    `history` the past since `history_from_ns` (default: the factory's start) is written there meanwhile. Then `on_live` is
    called with the factory and the addresses. Raises `CannotListen`.
    """
    live = LivePlant(factory, now_ns or wall_ns())
    control: ControlServer | None = None
    try:
        addresses = await live.open()
        if http_port is not None:
            control = _control(live, http_port)
            addresses["http"] = f"127.0.0.1:{control.port}"
        if ports_file:
            temporary = ports_file.with_suffix(".tmp")
            temporary.write_text(json.dumps(addresses))
            temporary.rename(ports_file)
        await asyncio.to_thread(live.catch_up, history, history_from_ns, on_progress)
        on_live(live, addresses)
        await live.play(stop)
    finally:
        if control:
            await control.close()
        await live.close()


def _control(live: "LivePlant", port: int) -> ControlServer:
    try:
        return ControlServer(live.answer, port)
    except OSError as error:
        raise CannotListen("http", "127.0.0.1", port, error) from error


class LivePlant:
    """The model, its PLCs and the clock. `open`, `catch_up`, `play`, `close`, in this order."""

    def __init__(self, factory: Factory, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self.plant = Plant(factory)
        self._plcs = {spec.id: _plc(spec) for spec in factory.machines}
        self._due_ns = dict.fromkeys(self.plant.machines, 0)
        self._online = dict.fromkeys(self.plant.machines, True)
        self.live = False

    async def open(self) -> dict[str, str]:
        """All PLCs listen; returns where. Raises `CannotListen`."""
        for spec in self.plant.factory.machines:
            try:
                await self._plcs[spec.id].open()
            except (OSError, RuntimeError) as error:
                raise CannotListen(spec.device, spec.host, spec.port, error) from error
        return {spec.device: self._plcs[spec.id].address for spec in self.plant.factory.machines}

    def catch_up(
        self, history: Path | None, from_ns: int | None, on_progress: Callable[[int, int], None] | None
    ) -> None:
        """Computes the past, into files if `history` is given. The last file reaches up to now."""
        if history:
            start_ns = self.plant.factory.start_ns if from_ns is None else from_ns
            writer = Writer(self.plant, start_ns, history)
            writer.write_until(self._now_ns(), on_progress)
            writer.finish()
        self.plant.advance(self._now_ns())

    async def play(self, stop: asyncio.Event) -> None:
        """Real time until `stop` is set."""
        while not stop.is_set():
            now_ns = self._now_ns()
            self.plant.advance(now_ns)
            for name, machine in self.plant.machines.items():
                if now_ns >= self._due_ns[name]:
                    await self._show(name, machine, now_ns)
                    self._due_ns[name] = next_change(machine, now_ns)
            self.live = True
            await asyncio.sleep(TICK_S)

    async def close(self) -> None:
        """Ends all servers."""
        for plc in self._plcs.values():
            await (plc.stop() if isinstance(plc, OpcUaPlc) else plc.close())

    async def _show(self, name: str, machine: SimulatedMachine, now_ns: int) -> None:
        plc, shown = self._plcs[name], at(machine, now_ns)
        if shown.online != self._online[name]:
            self._online[name] = shown.online
            if not shown.online:
                await plc.close()
        if not shown.online:
            return
        if isinstance(plc, ModbusPlc):
            plc.show(shown.tags)
        else:
            await plc.show(shown.tags, shown.since_ns)
        await plc.open()

    # Requests at the control port, on the event loop

    def answer(self, request: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request at the control port; `BadRequest` says what is wrong with it."""
        now_ns = self._now_ns()
        if request == "GET /ready":
            return {"live": self.live, "now_ns": now_ns}
        if not self.live:
            raise BadRequest("the factory is still computing its history; ask /ready until it says live")
        match request:
            case "GET /state":
                return {"now_ns": now_ns, "machines": {name: self.state(name, now_ns) for name in self._plcs}}
            case "GET /truth":
                return self._truth(arguments, now_ns)
            case "GET /transitions":
                from_ns, to_ns = (_integer(arguments, key) for key in ("from", "to"))
                machine = self._machine(arguments)
                return {"transitions": _or_bad_request(truth.transitions, machine, from_ns, to_ns, max(to_ns, now_ns))}
            case "POST /quiet":
                return self._quiet(arguments, now_ns)
            case "POST /force":
                return self._force(arguments, now_ns)
        raise BadRequest(f"{request} is unknown; ask GET /truth, /transitions, /state, /ready or POST /quiet, /force")

    def _truth(self, arguments: dict[str, Any], now_ns: int) -> dict[str, Any]:
        from_ns, to_ns = (_integer(arguments, key) for key in ("from", "to"))
        as_of_ns = _integer(arguments, "as_of") if "as_of" in arguments else to_ns
        if as_of_ns > now_ns:
            raise BadRequest(f"as_of {as_of_ns} lies in the future; it is {now_ns}")
        figures: dict[str, Any] = _or_bad_request(self.plant.truth, from_ns, to_ns, as_of_ns)
        return figures

    def state(self, name: str, now_ns: int | None = None) -> dict[str, Any]:
        """What a machine does and its PLC shows now: `state`, `online`, `tags`, `device`."""
        machine = self.plant.machines[name]
        now_ns = self._now_ns() if now_ns is None else now_ns
        from_ns = max(machine.start_ns, now_ns - _SECOND_NS)
        state = truth.transitions(machine, from_ns, now_ns, now_ns)[-1]["state"]
        shown = at(machine, now_ns)
        return {"state": state, "online": shown.online, "tags": shown.tags, "device": machine.spec.device}

    def _quiet(self, arguments: dict[str, Any], now_ns: int) -> dict[str, Any]:
        instants = arguments.get("at_ns")
        if not isinstance(instants, list) or not all(isinstance(item, int) for item in instants):
            raise BadRequest('at_ns must be a list of instants [ns UTC], for example {"at_ns": [1767225600000000000]}')
        accepted = sorted(item for item in instants if item >= now_ns + _AHEAD_NS)
        self.plant.be_quiet(tuple(accepted), now_ns)
        self._due_ns = dict.fromkeys(self._due_ns, 0)
        return {"accepted": accepted, "late": sorted(set(instants) - set(accepted))}

    def _force(self, arguments: dict[str, Any], now_ns: int) -> dict[str, Any]:
        machine, event, for_s = self._machine(arguments), arguments.get("event"), arguments.get("for_s", 20)
        if event not in EVENTS:
            raise BadRequest(f"event {event!r} is unknown; write one of {', '.join(EVENTS)}")
        if not isinstance(for_s, int | float) or not 5 <= for_s <= 86_400:
            raise BadRequest(f"for_s {for_s!r} must be between 5 and 86400 seconds")
        begins_ns = _or_bad_request(machine.force, event, int(for_s * _SECOND_NS), now_ns)
        self._due_ns[machine.spec.id] = 0
        return {"begins_ns": begins_ns}

    def _machine(self, arguments: dict[str, Any]) -> SimulatedMachine:
        name = arguments.get("machine")
        if name not in self.plant.machines:
            raise BadRequest(f"machine {name!r} is unknown; write one of {', '.join(self.plant.machines)}")
        return self.plant.machines[name]


def _plc(spec: MachineSpec) -> ModbusPlc | OpcUaPlc:
    places = PLCS[spec.plc].places
    if PLCS[spec.plc].protocol == "opcua":
        nodes = {tag: place for tag, place in places.items() if isinstance(place, OpcUaNode)}
        return OpcUaPlc(NAMESPACES[spec.plc], nodes, spec.host, spec.port)
    registers = {tag: place for tag, place in places.items() if isinstance(place, ModbusRegister)}
    return ModbusPlc(registers, spec.host, spec.port)


def _or_bad_request(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls the function; its `ValueError` becomes a `BadRequest`."""
    try:
        return function(*arguments)
    except ValueError as error:
        raise BadRequest(str(error)) from error


def _integer(arguments: dict[str, Any], key: str) -> int:
    value = str(arguments.get(key, ""))
    if not value.isdigit():
        raise BadRequest(f"{key} {value!r} is no instant; write nanoseconds since 1970 UTC")
    return int(value)
