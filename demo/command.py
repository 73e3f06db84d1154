"""`nhip demo`: starts the processes, shows them or runs the comparison, and always stops them again."""

import signal
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from cli.signals import STOP_SIGNALS
from demo import show
from demo.prove import Plan, prove, write
from demo.stage import Stage, StageBroken
from words import say


@dataclass(frozen=True)
class Settings:
    """The command's options. for_s: length of a headless run [s], None for a demo in the browser."""

    for_s: float | None
    report: Path | None
    days: float
    kill_after_s: float | None
    port: int
    broker: str
    seed: int
    lang: str


def run(settings: Settings, folder: Path) -> int:
    """Runs the demo. Exit status: 0 fine, 1 figures out of tolerance or a process failed."""
    console = Console(stderr=settings.for_s is not None)
    stop = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: _on_signal(stop))
    stage = Stage(
        folder,
        days=settings.days,
        seed=settings.seed,
        listen_port=_port(settings.port),
        broker_url=settings.broker,
        language=settings.lang,
    )
    console.print(f"[bold]{say('demo.title', settings.lang)}[/]")
    status = 1
    try:
        with console.status(say("demo.starting", settings.lang)):
            stage.open()
        show.follow_history(stage, console, settings.lang)
        status = _show(stage, settings, console, stop) if settings.for_s is None else _prove(stage, settings, console)
    except StageBroken as error:
        console.print(say("demo.broken", settings.lang, what=error), style="red", markup=False)
    except _Stopped:
        status = 0 if settings.for_s is None else 1
    finally:
        with console.status(say("demo.stopping", settings.lang)):
            stage.close()
        console.print(say("demo.stopped", settings.lang))
    return status


class _Stopped(Exception):
    """SIGINT or SIGTERM arrived: stop all processes in order."""


def _on_signal(stop: threading.Event) -> None:
    if not stop.is_set():  # a second signal must not interrupt the orderly stop
        stop.set()
        raise _Stopped


def _port(wanted: int) -> int:
    """`wanted` if it is free, else 0 (any port)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
        return wanted


def _show(stage: Stage, settings: Settings, console: Console, stop: threading.Event) -> int:
    show.addresses(stage, console, settings.lang)
    while not stop.wait(1.0):
        stage.check()
    return 0


def _prove(stage: Stage, settings: Settings, console: Console) -> int:
    assert settings.for_s is not None  # only called for a headless run
    with show.step_bars(console, settings.lang) as on_step:
        report = prove(stage, Plan(settings.for_s, settings.kill_after_s), on_step)
    if settings.report:
        write(report, settings.report)
    show.table(report, Console(), settings.lang)
    return 1 if report.complaints else 0
