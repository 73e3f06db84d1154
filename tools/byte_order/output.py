"""The result of `nhip bytes`, printed for people or as JSON."""

import click

from adapters.modbus.model import BIT_TABLES
from adapters.modbus.service.decodings import Candidate, Fit, RegisterBlock, equals, tag_line, ways
from adapters.modbus.service.peers import title
from cli.terminal import show_table
from tools.byte_order.search import DecodingSearch, RegisterQuestion
from words import number, say, value_text

SHOWN_ROWS = 12
TAG = "value"


def show(question: RegisterQuestion, search: DecodingSearch, lang: str) -> None:
    """Prints what was read, the encodings that fit, and the line for the site file."""
    block = search.blocks[-1]
    click.echo(say("bytes.read", lang, table=question.table, first=block.start, registers=bare(question, block)))
    if not search.candidates:
        if search.latest:
            click.echo(say("bytes.nothing", lang, shown=search.latest, span=question.span))
        return
    best = search.candidates[0].decoding
    headings = [say(f"bytes.column.{key}", lang) for key in ("rank", "address", "type", "order", "scale", "value")]
    rows = [_row(n, item, question.address, lang) for n, item in enumerate(search.candidates[:SHOWN_ROWS], 1)]
    show_table(headings, rows)
    hidden = len(search.candidates) - SHOWN_ROWS
    if hidden > 0:
        click.echo(say("bytes.more", lang, n=hidden))
    alike = equals(search.candidates)
    if ways(alike) > 1:
        click.echo(say("bytes.ambiguous", lang, n=ways(alike)))
    elif len(alike) > 1:
        click.echo(say("bytes.sign", lang))
    if search.candidates[0].fit is Fit.CUT:
        click.echo(say("bytes.cut", lang))
    click.echo(say("bytes.line", lang))
    click.echo(f"  {tag_line(TAG, question.table, best)}")


def _row(rank: int, candidate: Candidate, address: int, lang: str) -> list[str]:
    decoding, offset = candidate.decoding, candidate.decoding.address - address
    value = _value(candidate.value, lang)
    return [
        str(rank),
        f"{decoding.address}" + (f" ({offset:+d})" if offset else ""),
        decoding.value_type + ("" if decoding.bit is None else f" .{decoding.bit}"),
        "" if decoding.value_type == "bool" else decoding.order,
        "" if decoding.scale == 1 else f"× {decoding.scale:g}",
        value + (" ~" if candidate.fit is Fit.CUT else ""),
    ]


def _value(value: float | str, lang: str) -> str:
    """As the machine's display shows it: without thousands separators."""
    if isinstance(value, str | bool):
        return value_text(value, lang)
    return f"{value:.0f}" if value == int(value) else number(value, lang, _digits(value))


def _digits(value: float) -> int:
    return min(4, len(f"{value:.4f}".rstrip("0").partition(".")[2]))


def bare(question: RegisterQuestion, block: RegisterBlock) -> str:
    """The registers in hexadecimal, or bits."""
    if question.table in BIT_TABLES:
        return " ".join(str(bit) for bit in block.data[1::2])
    return _hex(block)


def _hex(block: RegisterBlock) -> str:
    return " ".join(block.data[at : at + 2].hex() for at in range(0, len(block.data), 2))


def as_json(question: RegisterQuestion, search: DecodingSearch) -> dict[str, object]:
    """The same as plain data."""
    candidates, block = search.candidates, search.blocks[-1]
    return {
        "peer": title(question.peer),
        "unit": question.unit,
        "table": question.table,
        "first": block.start,
        "registers": _hex(block).split(),
        "shown": search.shown,
        "alike": ways(equals(candidates)),
        "candidates": [
            {
                "address": item.decoding.address,
                "type": item.decoding.value_type,
                "order": item.decoding.order,
                "bit": item.decoding.bit,
                "scale": item.decoding.scale,
                "value": item.value,
                "fit": item.fit.name.lower(),
                "tag": tag_line(TAG, question.table, item.decoding),
            }
            for item in candidates
        ],
    }
