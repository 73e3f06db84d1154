"""How a command ends when it cannot do its work: a sentence on the error stream and an exit status."""

import sys
from typing import TYPE_CHECKING, Final, NoReturn

import click

if TYPE_CHECKING:
    from config import Misconfigured

FAILED: Final = 1
MISCONFIGURED: Final = 2


def fail(text: object, status: int) -> NoReturn:
    """Prints `text` and ends the process."""
    click.echo(str(text), err=True)
    sys.exit(status)


def fail_misconfigured(error: "Misconfigured", lang: str) -> NoReturn:
    """Prints everything that is wrong in a file, one line each, and ends the process with `MISCONFIGURED`."""
    from words import complaint

    fail("\n".join(complaint(item, lang) for item in error.complaints), MISCONFIGURED)
