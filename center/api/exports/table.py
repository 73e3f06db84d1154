"""An answer's rows as a table: nested sums and KPIs become columns of their own. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from oee.kpi.kpi import KPIS
from oee.model.facts import FACT_COLUMNS

Kind = Literal["text", "time", "integer", "number", "truth"]

TIMES: Final = ("start", "end", "at", "seen", "since")
_RATIOS: Final = frozenset(kpi.key for kpi in KPIS if kpi.unit == "1")
_NUMBERS: Final = frozenset(kpi.key for kpi in KPIS)
_INTEGERS: Final = frozenset((*FACT_COLUMNS, "scheduled_ms", "known_ms", "unknown_ms", "ms", "pieces", "revision"))
_ABOUT: Final = ("site", "from", "to", "timezone", "bucket", "formula")


@dataclass(frozen=True)
class Column:
    """A column. key: the API's name; values: one for each row, None where it has none."""

    key: str
    kind: Kind
    values: Sequence[Any]

    @property
    def is_ratio(self) -> bool:
        """Whether it is shown as a percentage."""
        return self.key.removeprefix("target_") in _RATIOS

    @property
    def is_ms(self) -> bool:
        """Whether it is a length of time [ms]."""
        return self.kind == "integer" and (self.key == "ms" or self.key.endswith("_ms"))


@dataclass(frozen=True)
class ExportTable:
    """name: of the file, without its ending; about: the question (site, window, formula), by the API's names."""

    name: str
    subject: str
    about: Mapping[str, str]
    columns: Sequence[Column]

    def __len__(self) -> int:
        return len(self.columns[0].values) if self.columns else 0


def table_of(subject: str, answer: Mapping[str, Any], lang: str) -> ExportTable:
    """The table of an answer with `rows`. Columns without any value stay, so that files of one kind have the same columns;
    without rows there are none.
    """
    flat = [_flat(row, lang) for row in answer["rows"]]
    keys = dict.fromkeys(key for row in flat for key in row)
    columns = [_column(key, [row.get(key) for row in flat]) for key in keys]
    about = {key: str(answer[key]) for key in _ABOUT if answer.get(key)}
    return ExportTable(_name(subject, about), subject, about, columns)


def _flat(row: Mapping[str, Any], lang: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in row.items():
        if key in ("sums", "kpis"):
            out |= value
        elif key == "targets":
            for gap in value:
                out[f"target_{gap['kind']}"] = gap["target"]
                out[f"gap_{gap['kind']}"] = gap["points"] if gap["points"] is not None else gap["pieces"]
        elif key.endswith("_name"):
            out[key] = value.get(lang) or next(iter(value.values()), "")
        elif isinstance(value, Mapping):
            out[key] = " ".join(f"{name}={item}" for name, item in value.items())
        elif isinstance(value, list):
            out[key] = " ".join(map(str, value))
        else:
            out[key] = value
    return out


def _column(key: str, values: list[Any]) -> Column:
    if key in TIMES:
        return Column(key, "time", [datetime.fromisoformat(item) if item else None for item in values])
    if key in _INTEGERS:
        return Column(key, "integer", values)
    if key in _NUMBERS or key.startswith(("target_", "gap_")):
        return Column(key, "number", values)
    present = [item for item in values if item is not None]
    if present and all(isinstance(item, bool) for item in present):
        return Column(key, "truth", values)
    if present and all(isinstance(item, int) and not isinstance(item, bool) for item in present):
        return Column(key, "integer", values)
    if present and all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in present):
        return Column(key, "number", values)
    return Column(key, "text", [None if item is None else str(item) for item in values])


def _name(subject: str, about: Mapping[str, str]) -> str:
    window = "-to-".join(re.sub(r"[^0-9T]", "", about[key][:16]) for key in ("from", "to") if key in about)
    return "-".join(part for part in ("nhip", about.get("site", ""), subject, window) if part)
