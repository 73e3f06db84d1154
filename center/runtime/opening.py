"""Opens the store and the ledger that a center's file names, and closes them again."""

import importlib
from pathlib import Path
from typing import Any, Final, cast

from center.contract.ledger import HoldsLedger, Ledger
from center.contract.store import Store, StoreUnavailable
from center.database.sql import opening
from center.ledger.sql import SqlLedger
from center.model.complaints import misconfigured, not_ready
from center.runtime.budgets import BudgetLimits, Budgets
from center.runtime.state import CenterState, center_state
from config import BudgetModel, CenterFile

_STORES: Final = "center.stores"
_MB: Final = 1_000_000
_LEDGER_FILE: Final = "nhip-books.duckdb"


def open_center(settings: CenterFile) -> CenterState:
    """The center's state on its store and ledger. Raises `Misconfigured`: `NotReady` for what passes."""
    kind, store = settings.store.kind, open_store(settings)
    ledger: Ledger | None = None
    try:
        if not isinstance(store, HoldsLedger):
            ledger = _open_ledger(settings)
        return center_state(
            store,
            ledger,
            name=settings.name,
            language=settings.language,
            keep_values_ns=round(settings.keep_values * 1e9),
            budgets=Budgets(_limits(settings.budget)),
        )
    except StoreUnavailable as error:
        _close(store, ledger)
        raise not_ready("store.kind", kind, "store_away", detail=error) from error
    except BaseException:
        _close(store, ledger)
        raise


def _limits(budget: BudgetModel) -> BudgetLimits:
    return BudgetLimits(
        budget.messages_per_minute,
        budget.mb_per_minute * _MB,
        budget.unpacked_mb_per_minute * _MB,
        budget.site_bodies_per_day,
        budget.quarantine_mb * _MB,
        budget.series_per_day,
        budget.notices_per_day,
    )


def open_store(settings: CenterFile) -> Store:
    """The store alone. Raises as `open_center`."""
    kind, options = settings.store.kind, dict(settings.store.options)
    known = sorted(item.parent.name for item in Path(__file__).parent.with_name("stores").glob("*/store.py"))
    if kind not in known:
        raise misconfigured("store.kind", kind, "unknown_store", known=", ".join(known))
    if kind != "duckdb":
        options.pop("books", None)
    return cast(Store, _module(kind).open_store(options))


def _module(kind: str) -> Any:
    """Imports a store's library only where it is used."""
    return importlib.import_module(f"{_STORES}.{kind}.store")


def ledger_location(settings: CenterFile) -> str:
    """The database URL or the file that holds the ledger; "" if the store holds it."""
    if settings.store.kind == "duckdb":
        return ""
    if settings.database and settings.database.startswith("postgresql:"):
        return settings.database
    return str(settings.store.options.get("books", _LEDGER_FILE))


def _open_ledger(settings: CenterFile) -> Ledger:
    where = ledger_location(settings)
    if not where.startswith("postgresql:"):
        return cast(Ledger, _module("duckdb").open_store({"file": where}).ledger)
    if "books" in settings.store.options:
        raise misconfigured("store.books", settings.store.options["books"], "books_unused")
    with opening(where) as engine:
        ledger = SqlLedger(engine)
    try:
        ledger.processes.join(alone=settings.role == "all")
    except BaseException:
        ledger.close()
        raise
    return ledger


def close_center(center: CenterState) -> None:
    """Frees what `open_center` opened."""
    _close(center.store, None if isinstance(center.store, HoldsLedger) else center.ledger)


def _close(store: Store, ledger: Ledger | None) -> None:
    store.close()
    if ledger is not None:
        ledger.close()
