"""How a command ends when it cannot do its work, or not all of it: a sentence on the error stream and an exit status."""

import os
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

if TYPE_CHECKING:
    from config import Misconfigured

FAILED: Final = 1
MISCONFIGURED: Final = 2
INTERRUPTED: Final = 130
"""Ended by Ctrl-C, as a shell counts it."""
PROMPT: Final = "prompt"
"""Name of threads that wait for a line (`cli.terminal.asked`)."""


def fail(text: object, status: int) -> NoReturn:
    """Prints `text` and ends the process."""
    click.echo(str(text), err=True)
    sys.exit(status)


def fail_misconfigured(error: "Misconfigured", lang: str) -> NoReturn:
    """Prints everything that is wrong in a file, one line each, and ends the process with `MISCONFIGURED`."""
    from words import complaint

    fail("\n".join(complaint(item, lang) for item in error.complaints), MISCONFIGURED)


def leave(status: int) -> NoReturn:
    """Ends the process with this exit status, also while a prompt still waits for a line, which nothing can end."""
    if any(thread.name == PROMPT for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


class Interruptible(click.Group):
    """A command line that Ctrl-C ends without a word of its own, with `INTERRUPTED`."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """As click's, but for Ctrl-C and for an input that ends where an answer is needed."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            status = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except click.Abort as error:
            if isinstance(error.__context__, EOFError):
                from cli.options import terminal_language
                from words import say

                fail(say("cli.no_answer", terminal_language()), FAILED)
            leave(INTERRUPTED)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        sys.exit(status if isinstance(status, int) else 0)
