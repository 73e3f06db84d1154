"""Tables of facts and losses, and their version. Pure."""

from typing import Final

from oee.model.facts import FACT_COLUMNS, KEY_COLUMNS, LOSS_COLUMNS, LOSS_KEY_COLUMNS

SCHEMA_VERSION: Final = "3"
SUMMED: Final = {"facts": (KEY_COLUMNS, FACT_COLUMNS), "losses": (LOSS_KEY_COLUMNS, LOSS_COLUMNS)}
"""By table its key columns and its additive columns."""

MOST_SUM: Final = 2**60
"""What a sum is shown as if it is larger: 36,000 years of microseconds, of which several still add up in int64. Only rows that
no machine made lead there, and they must not make anything fail."""
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


def bounded_sum(expression: str) -> str:
    """A sum that fits into a BIGINT whatever the rows hold. DuckDB adds up in 128 bits."""
    return f"greatest(least(sum({expression}), {MOST_SUM}), -{MOST_SUM})::BIGINT"


CREATE_TABLES: Final = "\n".join(
    f"CREATE TABLE {table} ({column_definitions(keys, sums)});" for table, (keys, sums) in SUMMED.items()
)
