"""`nhip bytes`: finds how registers encode the value that the machine's display shows."""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Final

import click

from adapters.connection_faults import connection_fault
from adapters.contract import DeviceMisconfigured, Fault, NotConnected
from adapters.modbus.bus.faults import ExceptionResponse
from adapters.modbus.model import BIT_TABLES
from adapters.modbus.service.decodings import RegisterBlock, equals, ways
from adapters.modbus.service.peers import open_bus
from adapters.modbus.service.reader import RateLimit, RateLimitedReader
from adapters.modbus.service.registers import Span
from cli.exits import INTERRUPTED
from cli.signals import run_until_ctrl_c
from cli.terminal import asked, notice, show_json
from tools.byte_order.output import as_json as as_json_of
from tools.byte_order.output import bare, show
from tools.byte_order.search import DecodingSearch, RegisterQuestion
from tools.faults import full_text
from words import say

READ_EVERY_S: Final = 0.5
ENOUGH: Final = 2
"""Consecutive new displayed values that rule nothing out, after which the search ends."""


def find(
    question: RegisterQuestion, shows: str | None, rate_limit: RateLimit, *, watch: bool, as_json: bool, lang: str
) -> int:
    """Searches, prints, and returns the exit status: 0 found, 1 nothing fits or the device does not answer, `INTERRUPTED`
    after Ctrl-C, with what was found so far.

    shows: the displayed value; None asks for it while the registers are read repeatedly.
    """
    search = DecodingSearch()
    fault, interrupted = run_until_ctrl_c(_search(question, shows, rate_limit, search, watch=watch, lang=lang))
    if fault is not None:
        notice(full_text(fault, lang))
        return 1
    if interrupted and not as_json:
        notice(say("cli.interrupted" if search.blocks else "cli.interrupted_early", lang))
    if as_json:
        found = as_json_of(question, search) if search.blocks else {}
        show_json({**found, "interrupted": interrupted})
    elif search.blocks:
        show(question, search, lang)
    if interrupted:
        return INTERRUPTED
    return 0 if search.candidates else 1


async def _search(
    question: RegisterQuestion,
    shows: str | None,
    rate_limit: RateLimit,
    search: DecodingSearch,
    *,
    watch: bool,
    lang: str,
) -> Fault | None:
    """Fills `search`, until it is cancelled; why the device cannot be read."""
    reader = RateLimitedReader(open_bus(question.peer), rate_limit)
    try:
        search.blocks.append(await read_block(reader, question))
        if shows is not None:
            search.take(question, shows)
        if watch and (search.candidates or shows is None):
            await _watch(reader, question, search, lang)
    except (NotConnected, DeviceMisconfigured, ExceptionResponse, TimeoutError) as error:
        if isinstance(error, ExceptionResponse):
            return replace(error.fault, detail=str(error))
        silent = reader.silence(question.unit) if isinstance(error, TimeoutError) else error
        return connection_fault(reader.invalid_answer or silent)
    except asyncio.CancelledError:
        pass
    finally:
        reader.close()
    return None


async def read_block(reader: RateLimitedReader, question: RegisterQuestion) -> RegisterBlock:
    """The registers around the address, as many as the device returns.

    Raises `ExceptionResponse` or `TimeoutError` if it does not even have the one that was asked for.
    """
    first, last = max(0, question.address - 1), min(65535, question.address + question.span - 1)
    try:
        return RegisterBlock(first, await _read(reader, question, first, last))
    except (ExceptionResponse, TimeoutError) as refusal:
        if isinstance(refusal, TimeoutError):  # is it the block, or the device?
            await _read(reader, question, question.address, question.address)
        for end in (last, min(last, question.address + 3), min(last, question.address + 1), question.address):
            for start in (question.address, first):
                try:
                    return RegisterBlock(start, await _read(reader, question, start, end))
                except (ExceptionResponse, TimeoutError):
                    continue
        raise refusal from None


async def _read(reader: RateLimitedReader, question: RegisterQuestion, first: int, last: int) -> bytes:
    data = await reader.read(question.unit, question.table, Span(first, last - first + 1))
    if question.table not in BIT_TABLES:
        return data
    bits = (data[at // 8] >> at % 8 & 1 for at in range(last - first + 1))
    return b"".join(bit.to_bytes(2, "big") for bit in bits)


async def _watch(reader: RateLimitedReader, question: RegisterQuestion, search: DecodingSearch, lang: str) -> None:
    """Asks for displayed values until one encoding is left, further values rule nothing out (the same number in a wider
    type), or the user quits.
    """
    useless = 0
    while ways(equals(search.candidates)) != 1 and useless < ENOUGH:
        if search.shown:
            notice(say("bytes.left", lang, n=ways(equals(search.candidates))))
        before, left = search.blocks[-1], len(equals(search.candidates))
        answer = await _ask_while_reading(reader, question, search, say("bytes.ask", lang))
        if answer.lower() in {"q", "quit", "thôi"}:
            return
        if not answer:
            after = search.blocks[-1]
            notice(say("bytes.moved" if after != before else "bytes.still", lang, registers=bare(question, after)))
        elif not search.take(question, answer):
            notice(say("bytes.lost", lang, shown=answer))
        elif search.shown.count(answer) == 1:
            useless = useless + 1 if len(equals(search.candidates)) == left else 0


async def _ask_while_reading(
    reader: RateLimitedReader, question: RegisterQuestion, search: DecodingSearch, text: str
) -> str:
    """Asks for the displayed value while reading the registers: until it is typed, and once afterwards."""
    answering = asyncio.create_task(asked(partial(_ask, text)))
    while not (await asyncio.wait({answering}, timeout=READ_EVERY_S))[0]:
        search.blocks.append(await read_block(reader, question))
    search.blocks.append(await read_block(reader, question))
    return answering.result()


def _ask(text: str) -> str:
    try:
        return str(click.prompt(text, default="", show_default=False, err=True)).strip()
    except click.Abort:
        return "q"
