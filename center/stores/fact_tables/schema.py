"""Tables of facts and losses, and their version. Pure."""

from typing import Final

from oee.model.facts import FACT_COLUMNS, KEY_COLUMNS, LOSS_COLUMNS, LOSS_KEY_COLUMNS

SCHEMA_VERSION: Final = "3"
SUMMED: Final = {"facts": (KEY_COLUMNS, FACT_COLUMNS), "losses": (LOSS_KEY_COLUMNS, LOSS_COLUMNS)}
"""By table its key columns and its additive columns."""

_TYPES: Final = {
    "site": "VARCHAR",
    "stream": "VARCHAR",
    "n": "BIGINT",
    "machine": "VARCHAR",
    "minute_ns": "BIGINT",
    "calendar": "UTINYINT",
    "business_date": "INTEGER",
    "shift": "VARCHAR",
    "product": "VARCHAR",
    "state": "UTINYINT",
    "reason": "VARCHAR",
}


def column_definitions(
    keys: tuple[str, ...], sums: tuple[str, ...], identity: tuple[str, ...] = ("stream", "n")
) -> str:
    """The columns of a table in a CREATE TABLE statement."""
    first = [f"{name} {_TYPES[name]} NOT NULL" for name in ("site", *identity, *keys)]
    return ", ".join([*first, *(f"{name} BIGINT NOT NULL" for name in sums)])


CREATE_TABLES: Final = "\n".join(
    f"CREATE TABLE {table} ({column_definitions(keys, sums)});" for table, (keys, sums) in SUMMED.items()
)
