"""A firm as a row of a table that people keep in Excel: read with a complaint for each cell that is wrong, and written. Pure."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, get_args

from center.database.directory import Firm, FirmCertificate
from config.site.machine import MachineKind
from config.site.model import Trade

COLUMNS: Final = ("code", "name", "trade", "place", "kinds", "products", "certificates", "shown")
TRADES: Final[tuple[str, ...]] = get_args(Trade)
KINDS: Final[tuple[str, ...]] = get_args(MachineKind)
MOST_ROWS: Final = 5000
MOST_LISTED: Final = 40
"""Kinds, products or certificates of a firm."""
_TRUE: Final = ("x", "yes", "true", "1", "có", "co")
_FALSE: Final = ("", "no", "false", "0", "không", "khong")
_LONGEST: Final = {"code": 20, "name": 200, "place": 120}


@dataclass(frozen=True)
class RowComplaint:
    """What is wrong with a cell. row: as the file counts them, its heading is 1; why: key of `directory.bad.<why>`; near: what may
    have been meant.
    """

    row: int
    column: str
    value: str
    why: str
    near: str = ""


def read_rows(
    table: Sequence[Sequence[object]], words: Mapping[str, Mapping[str, str]], by: str, at_ns: int
) -> tuple[list[Firm], list[RowComplaint]]:
    """The firms of a table with its heading, and everything that is wrong with it. words: for `columns`, `trade` and
    `kinds` which key is meant by a name that people may write instead.
    """
    if not table:
        return [], [RowComplaint(1, "", "", "empty")]
    headings = [folded(_plain(cell)) for cell in table[0]]
    names = _meant(words.get("columns", {}), COLUMNS)
    places = {names[text]: index for index, text in enumerate(headings) if text in names}
    out, bad = (
        [],
        [RowComplaint(1, column, "", "missing_column") for column in ("code", "name", "trade") if column not in places],
    )
    bad += [RowComplaint(1, "", text, "unknown_column") for text in headings if text and text not in names]
    if bad:
        return [], bad
    seen: dict[str, int] = {}
    rows = [(number, row) for number, row in enumerate(table[1:], 2) if any(_plain(cell) for cell in row)]
    if len(rows) > MOST_ROWS:
        return [], [RowComplaint(MOST_ROWS + 2, "", str(len(rows)), "too_many")]
    for number, row in rows:
        cells = {key: _plain(row[index]) if index < len(row) else "" for key, index in places.items()}
        firm, wrong = _read_row(number, cells, words, by, at_ns)
        code = cells.get("code", "")
        if code and code in seen:
            wrong.append(RowComplaint(number, "code", code, "twice", str(seen[code])))
        seen.setdefault(code, number)
        bad += wrong
        out.append(firm)
    return out, bad


def _read_row(
    number: int, cells: Mapping[str, str], words: Mapping[str, Mapping[str, str]], by: str, at_ns: int
) -> tuple[Firm, list[RowComplaint]]:
    bad = [RowComplaint(number, column, "", "missing") for column in ("code", "name") if not cells.get(column)]
    for column, most in _LONGEST.items():
        if len(cells.get(column, "")) > most:
            bad.append(RowComplaint(number, column, cells[column][:60], "too_long", str(most)))
    if code := cells.get("code", ""):
        plain = code.replace("-", "")
        if not (plain.isascii() and plain.isdigit() and len(plain) in (10, 13)):
            bad.append(RowComplaint(number, "code", code[:60], "no_code"))
    trade, wrong = _known("trade", cells.get("trade", ""), TRADES, words, number)
    bad += wrong
    kinds: list[str] = []
    for text in _listed(cells.get("kinds", "")):
        kind, wrong = _known("kinds", text, KINDS, words, number)
        bad += wrong
        kinds.append(kind)
    products = _listed(cells.get("products", ""))
    certificates: list[FirmCertificate] = []
    for text in (part for part in cells.get("certificates", "").split("|") if part.strip()):
        parts = [" ".join(part.split()) for part in text.split(",")]
        until = parts[2] if len(parts) > 2 else ""
        if len(parts) > 3 or not parts[0] or max(map(len, parts)) > 80 or (until and not is_day(until)):
            bad.append(RowComplaint(number, "certificates", text.strip()[:60], "certificate"))
            continue
        certificates.append(FirmCertificate(parts[0], parts[1] if len(parts) > 1 else "", until))
    for column, found in (("kinds", kinds), ("products", products), ("certificates", certificates)):
        if len(found) > MOST_LISTED:
            bad.append(RowComplaint(number, column, str(len(found)), "too_many_listed", str(MOST_LISTED)))
    bad += [RowComplaint(number, "products", text[:60], "too_long", "120") for text in products if len(text) > 120]
    shown = cells.get("shown", "").casefold()
    if shown not in (*_TRUE, *_FALSE):
        bad.append(RowComplaint(number, "shown", shown[:60], "yes_or_no"))
    firm = Firm(
        "", "", cells.get("code", ""), cells.get("name", ""), trade, cells.get("place", ""), tuple(dict.fromkeys(kinds)),
        tuple(dict.fromkeys(products)), tuple(certificates), shown in _TRUE, by, at_ns,
    )  # fmt: skip
    return firm, bad


def _known(
    column: str, text: str, known: Sequence[str], words: Mapping[str, Mapping[str, str]], number: int
) -> tuple[str, list[RowComplaint]]:
    meant = _meant(words.get(column, {}), known)
    found = meant.get(folded(text))
    if found:
        return found, []
    near = next((name for name in meant if folded(text) and (folded(text) in name or name in folded(text))), "")
    why = "missing" if not text else "unknown_word"
    return "", [RowComplaint(number, column, text[:60], why, meant.get(near, ""))]


def _meant(names: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """By how it may be written, folded, which key is meant."""
    return {folded(name): key for name, key in names.items()} | {folded(key): key for key in keys}


def row_of(firm: Firm) -> dict[str, str]:
    """A firm as the table has it, so that `read_rows` reads it again."""
    certificates = [f"{item.name}, {item.number}, {item.until}".rstrip(", ") for item in firm.certificates]
    return {
        "code": firm.code,
        "name": firm.name,
        "trade": firm.trade,
        "place": firm.place,
        "kinds": "; ".join(firm.kinds),
        "products": "; ".join(firm.products),
        "certificates": " | ".join(certificates),
        "shown": "x" if firm.shown else "",
    }


def is_found(firm: Firm, asked: str, trade: str, kind: str) -> bool:
    """Whether a search finds it. asked: words, all of which must be somewhere in it, with or without marks; trade, kind: "" for any."""
    if (trade and firm.trade != trade) or (kind and kind not in firm.kinds):
        return False
    named = (item.name for item in firm.certificates)
    text = folded(" ".join((firm.code, firm.name, firm.place, *firm.products, *named)))
    return all(word in text for word in folded(asked).split())


def folded(text: str) -> str:
    """A text as it is compared: small, without marks, `đ` as `d`."""
    parted = unicodedata.normalize("NFD", text.casefold().replace("đ", "d"))
    return " ".join("".join(c for c in parted if not unicodedata.combining(c)).split())


def is_day(text: str) -> bool:
    """Whether it is a day as in 2027-01-31."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _listed(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.replace("\n", ";").split(";") if part.strip()]


def _plain(cell: object) -> str:
    """A cell as text, as a person sees it: whole numbers without a point."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return " ".join(str(cell).split()).lstrip("'") if not isinstance(cell, str) or "\n" not in cell else cell.strip()
