"""Runs a command's work on a center, running or not. The center's parts are imported only when this is called."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from cli.exits import fail, fail_misconfigured

if TYPE_CHECKING:
    from center.commands.connect import RunningCenter, StoppedCenter

T = TypeVar("T")


def with_center(where: str, lang: str, work: "Callable[[RunningCenter | StoppedCenter], T]") -> T:
    """What the work returned. Ends the command with an error message if the center or its store cannot be reached."""
    from center.commands.connect import CannotReach, connect
    from center.contract.store import StoreUnavailable
    from config import Misconfigured
    from words import say

    try:
        center = connect(where)
        try:
            return work(center)
        finally:
            center.close()
    except Misconfigured as error:
        fail_misconfigured(error, lang)
    except CannotReach as error:
        fail(say(error.key, lang, **error.values), 2 if error.key == "hand.not_loopback" else 1)
    except StoreUnavailable as error:
        fail(say("hand.store_away", lang, detail=error), 1)
