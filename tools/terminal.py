"""What the tools print with: tables, a progress bar on the error stream, JSON."""

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
"""Columns where nobody watches: wide, so that nothing is cut in a file."""

Told = Callable[[str, float, float], None]
"""Told what is done, how far it is, and how far it goes."""


def screen() -> Console:
    """The standard output as it is now."""
    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Prints a table; texts are shown as they are."""
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
    """A sentence beside the result."""
    click.echo(text, err=True)


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Told]:
    """A bar while something lasts; nothing where nobody watches."""
    if quiet or not sys.stderr.isatty():
        yield lambda _what, _done, _total: None
        return
    columns = (TextColumn("{task.description:<24}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
