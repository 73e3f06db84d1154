"""Complaints: what is wrong with a configuration file, where, which value, and what to do about it.

A complaint carries keys of the message catalogue and the values for their placeholders, so that it can be shown in
Vietnamese and in English (`words.complaint`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Literal

Path = tuple[str | int, ...]
"""Where in a file: keys and list positions from its top."""


@dataclass(frozen=True)
class Complaint:
    """One error or warning at one place.

    file: as it was given; line: from 1, 0 where the file as a whole is meant.
    key: dotted path within the file; value: the value there, as short text, or "".
    code: what is wrong; `complaint.<code>` and `complaint.<code>.cure` are in the message catalogue, with `values`.
    """

    file: str
    line: int
    key: str
    value: str
    code: str
    values: Mapping[str, str] = field(default_factory=dict)
    severity: Literal["error", "warning"] = "error"

    @property
    def message(self) -> str:
        """Key of the sentence that says what is wrong."""
        return f"complaint.{self.code}"

    @property
    def cure(self) -> str:
        """Key of the sentence that says what to do."""
        return f"complaint.{self.code}.cure"

    def __str__(self) -> str:
        details = "".join(f", {name}: {text}" for name, text in self.values.items())
        value = f" ({self.value})" if self.value else ""
        return f"{self.file}:{self.line}: {self.key}: {self.code}{value}{details}"


class InvalidValue(ValueError):
    """Raised by validators: a code of the message catalogue (`complaint.<code>`) and the values for its sentences.

    text: the same in English, for callers that use a model without the loader.
    """

    def __init__(self, code: str, text: str, **values: object) -> None:
        super().__init__(text)
        self.code = code
        self.values = values


class Misconfigured(Exception):  # the file's fault, not a programming error
    """A configuration file that cannot be used, with everything that is wrong in it."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        super().__init__("\n".join(map(str, complaints)))
        self.complaints = tuple(complaints)


@dataclass(frozen=True)
class SourceMap:
    """The lines of a file's paths. lines: path to line, from 1."""

    file: str
    lines: Mapping[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """The line of that path, or of its nearest ancestor in the file; 0 if there is none."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return 0

    def complain(
        self,
        code: str,
        path: Path,
        value: object = "",
        *,
        severity: Literal["error", "warning"] = "error",
        **values: object,
    ) -> Complaint:
        """A complaint about that path."""
        texts = {name: str(text) for name, text in values.items()}
        return Complaint(self.file, self.line(path), dotted(path), short(value), code, texts, severity)


def dotted(path: Path) -> str:
    """A path as text: `machines.press-1.state[2].when`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def short(value: object, limit: int = 60) -> str:
    """A value as short text; "" for mappings and lists."""
    if value is None:
        return "null"
    if isinstance(value, Mapping | list | tuple):
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known word most similar to `word` (typing mistakes), or ""."""
    by_fold = {item.casefold(): item for item in known}
    matches = get_close_matches(word.casefold(), by_fold, 1, cutoff)
    return by_fold[matches[0]] if matches else ""


def sort_complaints(complaints: Iterable[Complaint]) -> list[Complaint]:
    """Sorts complaints by line and removes duplicates."""
    unique = {(item.line, item.key, item.code, item.value): item for item in complaints}
    return sorted(unique.values(), key=lambda item: (item.line, item.key))


def merge_repeated(complaints: Iterable[Complaint], lines: Collection[int]) -> list[Complaint]:
    """Merges complaints with the same code and key on one of these lines; `values["more"]` counts those left out.

    lines: those of templates, whose mistakes are repeated for each machine made from them.
    """
    out: list[Complaint] = []
    first: dict[tuple[int, str, str], int] = {}
    for item in complaints:
        place = (item.line, item.code, item.key.rpartition(".")[2])
        if item.line in lines and place in first:
            earlier = out[first[place]]
            more = int(earlier.values.get("more", "0")) + 1
            out[first[place]] = replace(earlier, values={**earlier.values, "more": str(more)})
        else:
            first[place] = len(out)
            out.append(item)
    return out
