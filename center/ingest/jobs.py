"""Work for the ingest worker's thread, which alone changes the books."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Job:
    """One piece of it. outcome: what it returned or raised."""

    work: Callable[[], Any]
    outcome: Future[Any] = field(default_factory=Future)

    def run(self) -> None:
        """Does it, unless whoever asked has given up."""
        if self.outcome.set_running_or_notify_cancel():
            try:
                self.outcome.set_result(self.work())
            except Exception as error:  # noqa: BLE001  # it belongs to whoever asked
                self.outcome.set_exception(error)
