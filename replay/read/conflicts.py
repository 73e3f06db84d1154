"""Conflicts: errors in recorded input, with place, value, what was done about it and what to do next."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Severity = Literal["conflict", "note"]


@dataclass(frozen=True)
class Conflict:
    """One kind of error in one column of one file, at its first occurrence.

    file: name within the samples' folder; line: from 1, in a Parquet file the row, 0 where the whole file is meant.
    key: the column (or machine) meant; value: the text found there; count: how often it occurs.
    severity: a `note` tells how input was read; it does not change the exit status.
    Has the shape of `words.ComplaintLike`.
    """

    file: str
    line: int
    key: str
    value: str
    code: str
    values: Mapping[str, str] = field(default_factory=dict)
    severity: Severity = "conflict"
    count: int = 1

    @property
    def message(self) -> str:
        """Key of the sentence that says what is wrong and what was done about it."""
        return f"conflict.{self.code}"

    @property
    def cure(self) -> str:
        """Key of the sentence that says what to do."""
        return f"conflict.{self.code}.cure"


class Conflicts:
    """Collects conflicts; the same error in the same column of a file is reported once, with its count."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], Conflict] = {}

    def add(
        self,
        file: str,
        line: int,
        code: str,
        key: str = "",
        value: object = "",
        *,
        count: int = 1,
        severity: Severity = "conflict",
        **values: object,
    ) -> None:
        """Adds one, or `count` of the same kind at once. The first one's line and value are kept."""
        occurrence = (file, code, key)
        if occurrence in self._found:
            self._found[occurrence] = replace(self._found[occurrence], count=self._found[occurrence].count + count)
            return
        texts = {name: str(item) for name, item in values.items()}
        self._found[occurrence] = Conflict(file, line, key, _short(value), code, texts, severity, count)

    def all(self) -> tuple[Conflict, ...]:
        """Everything found, conflicts before notes, then by place."""
        return tuple(
            sorted(self._found.values(), key=lambda item: (item.severity == "note", item.file, item.line, item.key))
        )


def _short(value: object, limit: int = 60) -> str:
    text = str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
