"""Output on a terminal: tables, JSON, and a progress bar on the error stream."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 160
"""Width [columns] when the output is a file or a pipe: wide, so that no cell is cut."""

OnProgress = Callable[[str, float, float], None]
"""Takes a description, how much is done, and the total."""


def screen() -> Console:
    """The standard output as it is now."""
    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Prints a table; cells are plain text, without markup."""
    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    screen().print(table)


def show_json(data: Mapping[str, Any]) -> None:
    """Prints plain data as JSON."""
    click.echo(json.dumps(data, ensure_ascii=False, indent=2, default=str))


def notice(text: str) -> None:
    """Prints a sentence on the error stream, beside the result."""
    click.echo(text, err=True)


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[OnProgress]:
    """A progress bar, if the error stream is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _what, _done, _total: None
        return
    columns = (TextColumn("{task.description:<24}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
