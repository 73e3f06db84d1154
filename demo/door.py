"""`nhip demo`: opens the stage, shows or proves, and closes it whatever happens."""

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
    """The command's options. for_s: None for a demo to look at."""

    for_s: float | None
    report: Path | None
    days: float
    kill_after_s: float | None
    port: int
    broker: str
    seed: int
    lang: str


def run(settings: Settings, folder: Path) -> int:
    """The exit status: 0 fine, 1 the answer is bad or a part broke."""
    console = Console(stderr=settings.for_s is not None)
    stop = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: _ask_to_stop(stop))
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
        status = _look(stage, settings, console, stop) if settings.for_s is None else _prove(stage, settings, console)
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
    """Somebody pressed Ctrl-C; the stage is closed in order."""


def _ask_to_stop(stop: threading.Event) -> None:
    if not stop.is_set():  # a second one must not break the orderly end
        stop.set()
        raise _Stopped


def _port(wanted: int) -> int:
    """The wanted port if it is free, else any (0)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
        return wanted


def _look(stage: Stage, settings: Settings, console: Console, stop: threading.Event) -> int:
    show.addresses(stage, console, settings.lang)
    while not stop.wait(1.0):
        stage.check()
    return 0


def _prove(stage: Stage, settings: Settings, console: Console) -> int:
    assert settings.for_s is not None  # the caller looked
    with show.telling(console, settings.lang) as tell:
        report = prove(stage, Plan(settings.for_s, settings.kill_after_s), tell)
    if settings.report:
        write(report, settings.report)
    show.table(report, Console(), settings.lang)
    return 1 if report.complaints else 0
