"""Opens the store and the books that a center's file names, and closes them again."""

import importlib
from pathlib import Path
from typing import Any, Final, cast

from center.contract.ledger import Ledger
from center.contract.store import Store, StoreUnavailable
from center.database.sql import open_database
from center.ledger.sql import SqlLedger
from center.model.complaints import misconfigured
from center.runtime.state import CenterState, center_state
from config import CenterFile

_STORES: Final = "center.stores"
_BOOKS_FILE: Final = "nhip-books.duckdb"


def open_center(settings: CenterFile) -> CenterState:
    """The center's store and books. Raises `Misconfigured`."""
    kind, options = settings.store.kind, dict(settings.store.options)
    known = sorted(item.parent.name for item in Path(__file__).parent.with_name("stores").glob("*/store.py"))
    if kind not in known:
        raise misconfigured("store.kind", kind, "unknown_store", known=", ".join(known))
    if kind != "duckdb":
        options.pop("books", None)
    store = cast(Store, importlib.import_module(f"{_STORES}.{kind}.store").open_store(options))
    books: Ledger | None = None
    try:
        if not isinstance(store, Ledger):
            books = _open_books(settings)
        return center_state(
            store,
            books,
            name=settings.name,
            language=settings.language,
            keep_values_ns=round(settings.keep_values * 1e9),
        )
    except StoreUnavailable as error:
        _close(store, books)
        raise misconfigured("store.kind", kind, "store_away", detail=error) from error
    except BaseException:
        _close(store, books)
        raise


def where_books_are(settings: CenterFile) -> str:
    """The database or the file that holds the books; "" if they lie in the store itself."""
    if settings.store.kind == "duckdb":
        return ""
    if settings.database and settings.database.startswith("postgresql:"):
        return settings.database
    return str(settings.store.options.get("books", _BOOKS_FILE))


def _open_books(settings: CenterFile) -> Ledger:
    where = where_books_are(settings)
    if not where.startswith("postgresql:"):
        return cast(Ledger, importlib.import_module(f"{_STORES}.duckdb.store").open_store({"file": where}))
    if "books" in settings.store.options:
        raise misconfigured("store.books", settings.store.options["books"], "books_unused")
    books = SqlLedger(open_database(where))
    try:
        books.join(alone=settings.role == "all")
    except BaseException:
        books.close()
        raise
    return books


def close_center(center: CenterState) -> None:
    """Frees what `open_center` opened."""
    _close(center.store, center.ledger)


def _close(store: Store, books: Ledger | None) -> None:
    store.close()
    if books is not None and books is not cast(Any, store):
        cast(Any, books).close()
