"""`nhip bytes`: reads a few registers and finds what they mean from what the machine's display shows."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

import click

from adapters._modbus_frames import Refused
from adapters.contract import Misconfigured, NotConnected
from config.device_modbus import BIT_TABLES, Table
from tools.byte_order import Block, Candidate, Fit, equals, parse_shown, ranked, still_fitting, tag_line, ways
from tools.faults import fault_of, told
from tools.modbus_asker import Asker, Politeness
from tools.modbus_peer import Peer, open_bus, title
from tools.scan_registers import Span
from tools.terminal import notice, show_json, show_table
from tools.texts import value_text
from words import number, say

SHOWN_ROWS = 12
READ_EVERY_S = 0.5
JUST_NOW = 2
ENOUGH = 2
"""New values on the display, one after the other, that tell nothing apart."""
LATELY = 40
"""Readings that a value on the display is compared with: a person needs some seconds to read and to type."""
TAG = "value"


@dataclass(frozen=True)
class Question:
    """Where to look: `span` registers from `address` on, and the one before."""

    peer: Peer
    unit: int
    table: Table
    address: int
    span: int


@dataclass
class Search:
    """What was read lately, what the display showed, and what still fits all of it."""

    blocks: deque[Block] = field(default_factory=lambda: deque(maxlen=LATELY))
    shown: list[str] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    asked: str = ""

    def take(self, question: Question, text: str) -> bool:
        """Another value of the display; False if nothing would be left, and then nothing is changed."""
        self.asked = text
        value, blocks = parse_shown(text), list(self.blocks)
        if value.lit is not None:
            blocks = blocks[-JUST_NOW:]  # a lamp is seen at once, and was something else a while ago
        coils = question.table in BIT_TABLES
        fits = (
            still_fitting(self.candidates, blocks, value)
            if self.shown
            else ranked(blocks, question.address, value, coils=coils)
        )
        if fits:
            self.shown, self.candidates = [*self.shown, text], fits
        return bool(fits)


def find(
    question: Question, shows: str | None, politeness: Politeness, *, watch: bool, as_json: bool, lang: str
) -> int:
    """Searches, prints, and returns the exit status: 0 found, 1 nothing fits or the device does not answer.

    shows: None asks for it, while the registers are read on and on.
    """
    return asyncio.run(_find(question, shows, politeness, watch=watch, as_json=as_json, lang=lang))


async def _find(
    question: Question, shows: str | None, politeness: Politeness, *, watch: bool, as_json: bool, lang: str
) -> int:
    asker = Asker(open_bus(question.peer), politeness)
    search = Search()
    try:
        search.blocks.append(await read_block(asker, question))
        if shows is not None:
            search.take(question, shows)
        if watch and (search.candidates or shows is None):
            await _watch(asker, question, search, lang)
    except (NotConnected, Misconfigured, Refused, TimeoutError) as error:
        notice(told(fault_of(asker.nonsense or error), lang))
        return 1
    finally:
        asker.close()
    if as_json:
        show_json(_json(question, search))
    else:
        _show(question, search, lang)
    return 0 if search.candidates else 1


async def read_block(asker: Asker, question: Question) -> Block:
    """The registers around the address: as many of them as the device gives.

    Raises `Refused` if it does not even have the one that was asked for.
    """
    first, last = max(0, question.address - 1), min(65535, question.address + question.span - 1)
    try:
        return Block(first, await _read(asker, question, first, last))
    except Refused as refusal:
        for end in (last, min(last, question.address + 3), min(last, question.address + 1), question.address):
            for start in (question.address, first):
                try:
                    return Block(start, await _read(asker, question, start, end))
                except Refused:
                    continue
        raise refusal from None


async def _read(asker: Asker, question: Question, first: int, last: int) -> bytes:
    data = await asker.read(question.unit, question.table, Span(first, last - first + 1))
    if question.table not in BIT_TABLES:
        return data
    bits = (data[at // 8] >> at % 8 & 1 for at in range(last - first + 1))
    return b"".join(bit.to_bytes(2, "big") for bit in bits)


async def _watch(asker: Asker, question: Question, search: Search, lang: str) -> None:
    """Asks for what the display shows, until only one way of reading is left, further values tell nothing apart (the
    same number in a wider type), or nobody answers.
    """
    in_vain = 0
    while ways(equals(search.candidates)) != 1 and in_vain < ENOUGH:
        if search.shown:
            notice(say("bytes.left", lang, n=ways(equals(search.candidates))))
        before, left = search.blocks[-1], len(equals(search.candidates))
        answer = await _asked_while_reading(asker, question, search, say("bytes.ask", lang))
        if answer.lower() in {"q", "quit", "thôi"}:
            return
        if not answer:
            after = search.blocks[-1]
            notice(say("bytes.moved" if after != before else "bytes.still", lang, registers=_hex(after)))
        elif not search.take(question, answer):
            notice(say("bytes.lost", lang, shown=answer))
        elif search.shown.count(answer) == 1:
            in_vain = in_vain + 1 if len(equals(search.candidates)) == left else 0


async def _asked_while_reading(asker: Asker, question: Question, search: Search, text: str) -> str:
    """The answer of a person who reads a display that moves: the registers are read until it is there, and once more."""
    answering = asyncio.create_task(asyncio.to_thread(_ask, text))
    while not (await asyncio.wait({answering}, timeout=READ_EVERY_S))[0]:
        search.blocks.append(await read_block(asker, question))
    search.blocks.append(await read_block(asker, question))
    return answering.result()


def _ask(text: str) -> str:
    try:
        return str(click.prompt(text, default="", show_default=False, err=True)).strip()
    except click.Abort:
        return "q"


def _show(question: Question, search: Search, lang: str) -> None:
    block = search.blocks[-1]
    click.echo(say("bytes.read", lang, table=question.table, first=block.start, registers=_hex(block)))
    if not search.candidates:
        click.echo(say("bytes.nothing", lang, shown=search.asked or "—", span=question.span))
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


def _row(rank: int, item: Candidate, asked: int, lang: str) -> list[str]:
    decoding, offset = item.decoding, item.decoding.address - asked
    value = _value(item.value, lang)
    return [
        str(rank),
        f"{decoding.address}" + (f" ({offset:+d})" if offset else ""),
        decoding.value_type + ("" if decoding.bit is None else f" .{decoding.bit}"),
        "" if decoding.value_type == "bool" else decoding.order,
        "" if decoding.scale == 1 else f"× {decoding.scale:g}",
        value + (" ~" if item.fit is Fit.CUT else ""),
    ]


def _value(value: float | str, lang: str) -> str:
    """As the machine's display shows it: no signs between thousands."""
    if isinstance(value, str | bool):
        return value_text(value, lang)
    return f"{value:.0f}" if value == int(value) else number(value, lang, _digits(value))


def _digits(value: float) -> int:
    return min(4, len(f"{value:.4f}".rstrip("0").partition(".")[2]))


def _hex(block: Block) -> str:
    return " ".join(block.data[at : at + 2].hex() for at in range(0, len(block.data), 2))


def _json(question: Question, search: Search) -> dict[str, object]:
    found, block = search.candidates, search.blocks[-1]
    return {
        "peer": title(question.peer),
        "unit": question.unit,
        "table": question.table,
        "first": block.start,
        "registers": _hex(block).split(),
        "shown": search.shown,
        "alike": ways(equals(found)),
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
            for item in found
        ],
    }
