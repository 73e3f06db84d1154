"""Output on a terminal: tables, JSON, and progress bars on the error stream.

rich is loaded where something is drawn: a command that prints sentences or JSON does without it.
"""

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.exits import PROMPT

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

T = TypeVar("T")
PIPE_WIDTH = 160
"""Width [columns] when the output is a file or a pipe: wide, so that no cell is cut."""

_NAMES_WIDTH = 40
"""Names up to this width are not folded, however narrow the terminal is."""

OnProgress = Callable[[str, float, float], None]
"""Takes a description, how much is done, and the total."""


def screen() -> "Console":
    """The standard output as it is now."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Prints a table; cells are plain text, without markup. The first column, of names, is folded last."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for place, heading in enumerate(headings):
        longest = 0 if place else max((len(row[0]) for row in rows), default=0)
        table.add_column(heading, overflow="fold", min_width=min(longest, _NAMES_WIDTH) or None)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    screen().print(table)


def show_json(data: Any) -> None:
    """Prints plain data as JSON."""
    click.echo(json.dumps(data, ensure_ascii=False, indent=2, default=str))


def notice(text: str) -> None:
    """Prints a sentence on the error stream, beside the result."""
    click.echo(text, err=True)


def bars(console: "Console", *, keep: bool = False) -> "Progress":
    """Progress bars, all in one style. keep: they stay on the screen when they are complete."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<24}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    return Progress(*columns, TimeElapsedColumn(), console=console, transient=not keep)


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[OnProgress]:
    """One progress bar, if the error stream is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _what, _done, _total: None
        return
    from rich.console import Console

    with bars(Console(stderr=True)) as drawn:
        task = drawn.add_task("")
        yield lambda what, done, total: drawn.update(task, description=what, completed=done, total=total)


async def asked(ask: Callable[[], T]) -> T:
    """What a person answers to a prompt, while other tasks go on. The prompt of a task that is cancelled waits on in its
    thread, so the command ends with `cli.exits.leave`.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def give(value: T | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(value)  # type: ignore[arg-type]  # without an error there is a value

    def work() -> None:
        value: T | None = None
        error: BaseException | None = None
        try:
            value = ask()
        except BaseException as raised:  # noqa: BLE001  # passed on to the task that asks
            error = raised
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(give, value, error)

    threading.Thread(target=work, name=PROMPT, daemon=True).start()
    return await answer
