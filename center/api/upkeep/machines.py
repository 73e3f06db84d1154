"""HTTP for machines that are retired: an administrator may delete what was recorded of them, as of a trial."""

from collections.abc import Callable
from concurrent.futures import TimeoutError as NotInTime
from typing import Annotated, Any, Final

from fastapi import FastAPI, Path, Query, Request
from typing_extensions import TypedDict

from center.api.access import Administering, address_of
from center.api.problems import Problem, problem
from center.contract.store import StoreRefused, StoreUnavailable
from center.ingest.settle import StillNamed
from center.ingest.worker import Ingest

Record = Callable[[str, str, str, str], None]
"""Enters a deletion into the audit trail: who, from which address, site and machine. Raises `StoreUnavailable`."""
_WAIT_S: Final = 60.0
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Problem} for status in (401, 403, 404, 409, 422, 503)
}


class ForgottenAnswer(TypedDict):
    """What was deleted."""

    site: str
    machine: str


class MachineDeletion:
    """Deletes a retired machine's rows, with an entry in the audit trail. The console finds it in the application's state."""

    def __init__(self, ingest: Ingest, record: Record) -> None:
        self._ingest, self._record = ingest, record

    def __call__(self, who: str, address: str, site: str, machine: str) -> None:
        """Returns when it is done. The entry comes first: a deletion is never without one.

        Raises `LookupError`, `StillNamed`, `StoreRefused`, `StoreUnavailable` or, while it continues, `TimeoutError`.
        """

        def work() -> None:
            self._ingest.settler.forget_machine(site, machine, lambda: self._record(who, address, site, machine))

        self._ingest.submit(work).result(_WAIT_S)


def add_machines(app: FastAPI, deletion: MachineDeletion) -> None:
    """The route."""
    app.state.machine_deletion = deletion

    @app.delete("/api/v1/machines/{machine:path}", response_model=ForgottenAnswer, responses=_PROBLEMS)
    def forget(
        viewer: Administering,
        request: Request,
        machine: Annotated[str, Path(description="Id of the machine.")],
        site: Annotated[str, Query(description="Id of its site.")],
    ) -> Any:
        """Deletes facts, losses and stops of a retired machine: one that no site file names any more. Its process values
        belong to its gateway and stay. What its gateway still has in its outbox comes later, and can be deleted again.
        """
        try:
            deletion(viewer.name, address_of(request), site, machine)
        except LookupError as error:
            return problem(404, "unknown", str(error))
        except StillNamed as error:
            return problem(409, "bad_question", f"{error}; take it out of the site file first")
        except StoreRefused as error:
            return problem(422, "bad_question", str(error))
        except StoreUnavailable as error:
            return problem(503, "store_away", str(error))
        except NotInTime:
            return problem(503, "store_away", f"not finished within {_WAIT_S:.0f} s; it continues, and may be repeated")
        return {"site": site, "machine": machine}
