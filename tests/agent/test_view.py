"""What a gateway knows without a center, from its outbox alone: sums, stops, the picture of a day, open questions."""

import re
import shlex
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from test_corrections import LATE, MACHINE, SECONDS, Gateway, finish
from test_pipeline import T0, S

import nhip
from agent.view.machine import Committed, LostTime, machine_view, picture
from agent.view.offered import Beginning, Offered, beginnings, stops_between
from agent.view.questions import SiteFacts, cures, moment_text, questions_about
from oee.engine.step import MachineSnapshot
from oee.kpi.shift import shift_at
from oee.model.facts import FACT, FACT_COLUMNS, NO_FACTS, NO_LOSSES, Facts, Stop, make_table
from oee.model.machine import OPERATOR, Pieces
from oee.model.states import CalendarClass, State
from words.catalogue import catalogue

SITE = SiteFacts("my site.yaml", UTC, ("1", "2"), ("die-jam", "no-air"))


@pytest.fixture
async def gateway(tmp_path):
    made = Gateway(tmp_path / "site.outbox")
    yield made
    if not made.closed:
        await made.close()


def rolled(told):
    """Facts and losses of `Gateway.told`, without minutes, and the stops."""
    out = []
    for table in told[:2]:
        sums = {}
        for key, row in table.items():
            short = (key[0], *key[2:])
            sums[short] = tuple(a + b for a, b in zip(sums.get(short, (0,) * len(row)), row, strict=True))
        out.append({key: row for key, row in sums.items() if any(row)})
    return [*out, told[3]]


def added(offered):
    out = []
    for table in (offered.facts, offered.losses):
        keys = zip(*(getattr(table, name).tolist() for name in table.KEYS), strict=True)
        pairs = zip(keys, table.sums.tolist(), strict=True)
        out.append({(key[0], *key[2:]): tuple(row) for key, row in pairs if any(row)})
    stops = {key[1]: replace(stop, revision=0) for key, stop in offered.stops.items() if stop.end_ns != stop.start_ns}
    return [*out, stops]


async def test_the_outbox_adds_up_to_what_was_offered_whenever_it_is_read(gateway):
    """Law: read in one go or as it grows, and with corrections in between, the sums are those of all envelopes."""
    growing = Offered(0)
    for until, items in ((5000, LATE[:1]), (9300, LATE[1:4]), (SECONDS, LATE[4:])):
        await gateway.go(until)
        gateway.say(*items)
        await gateway.corrections.run_pending()
        gateway.outbox.within(growing.read)
    told = await finish(gateway)
    gateway.outbox.within(growing.read)
    at_once = Offered(0)
    gateway.outbox.within(at_once.read)
    assert added(growing) == added(at_once) == rolled(told)
    gateway.outbox.within(growing.read)
    assert added(growing) == rolled(told), "read again, nothing is added"


async def test_what_was_sealed_earlier_is_left_out(gateway):
    await finish(gateway)
    late = Offered(T0 + 8000 * S)
    gateway.outbox.within(late.read)
    assert {stop.start_ns for stop in late.stops_of("m")} == {T0 + 9000 * S, T0 + 13_000 * S}
    never = Offered(T0 + 10**6 * S)
    gateway.outbox.within(never.read)
    assert not len(never.facts)


async def test_stops_of_a_time_are_found_and_so_is_one_that_goes_on(gateway):
    await gateway.go(9060)
    await gateway.committer.commit(final=True)

    def found(start, end):
        return gateway.outbox.within(lambda db: stops_between(db, "m", T0 + start * S, T0 + end * S))

    assert [stop.start_ns for stop in found(3100, 3200)] == [T0 + 3000 * S]
    assert found(4100, 4200) == []
    (going_on,) = found(9010, 9500)
    assert going_on.end_ns is None


@pytest.mark.parametrize(
    ("described", "other", "begins"),
    [(50, 0, 100), (130, 0, 130), (130, 120, 130), (130, 90, 100), (100, 0, 100)],
)
def test_a_machine_is_expected_from_the_start_of_a_time_if_the_gateway_was_there(described, other, begins):
    assert Beginning(described, other).watched_from(100) == begins


async def test_when_machines_entered_is_read_from_the_descriptions(gateway):
    body = {"valid_from_ns": T0, "machines": {"m": {}}}
    later = {"valid_from_ns": T0 + 50, "machines": {"m": {}, "n": {}}}
    gateway.outbox.commit([("site", body)], {}, T0)
    gateway.outbox.commit([("site", later)], {}, T0 + 50)
    found = gateway.outbox.within(beginnings)
    assert found["m"] == Beginning(T0, 0)
    assert found["n"] == Beginning(T0 + 50, T0)


# what one machine's view makes of it


def stop(start, end, state=State.UNPLANNED_STOP, reason=""):
    end_ns = None if end is None else T0 + end * S
    return Stop("m", str(start), T0 + start * S, end_ns, state, reason, "plc", "1", "", 0)


def seen(machine=MACHINE, stops=(), product="1", now=3600, facts=NO_FACTS, watched=0):
    snapshot = MachineSnapshot(State.RUNNING, T0, "", product, "A", CalendarClass.SCHEDULED, 5)
    disk = Committed(facts, NO_LOSSES, stops, T0 + watched * S, T0 + now * S)
    return machine_view(machine, snapshot, disk, T0 + now * S, "nakajima")


def asked(view, now=3600, site=SITE):
    return questions_about(view, site, T0 + now * S)


def test_the_picture_of_a_time_shows_what_fills_most_of_each_cell():
    stops = (stop(900, 1500), stop(1500, 1800, State.UNKNOWN), stop(3000, None, State.BREAKDOWN))
    cells = picture(seen(stops=stops, watched=600), T0, T0 + 3600 * S, 12)
    run, stood, lost, broken = State.RUNNING, State.UNPLANNED_STOP, State.UNKNOWN, State.BREAKDOWN
    assert cells == [None, None, run, stood, stood, lost, run, run, run, run, broken, broken]


async def test_time_lost_and_pieces_made_are_those_of_the_facts(gateway):
    await finish(gateway)
    offered = Offered(0)
    gateway.outbox.within(offered.read)
    state = gateway.pipeline.runs["m"].state
    disk = Committed(offered.facts_of("m"), offered.losses_of("m"), offered.stops_of("m"), T0, state.until_ns)
    view = machine_view(MACHINE, None, disk, state.until_ns, "nakajima")
    minutes = SECONDS // 60 * 60
    stood = 1_400_000  # two stops are longer than the limit for minor stops
    assert LostTime(State.UNPLANNED_STOP, "", stood) in view.lost
    assert view.figures.total("running_ms") + sum(item.ms for item in view.lost) == minutes * 1000
    assert view.made == (("1", view.figures.pieces),)
    assert view.figures.pieces == 12_799  # a piece a second but in 1600, and the first one is where the counter begins
    assert view.figures.kpis.values["performance"] == 12_799 / 13_000


def test_a_machine_that_nobody_judges_asks_for_rejects_with_the_very_command():
    entered = replace(MACHINE, pieces=Pieces(MACHINE.pieces.total, reject=OPERATOR))
    assert asked(seen(entered)) == []  # no pieces yet
    (question,) = [item for item in asked(_with_pieces(entered, 12)) if item.kind == "rejects"]
    assert question.values["pieces"] == "12"
    assert shlex.split(question.command) == ["nhip", "declare", "my site.yaml", "m", "rejects", "0"]
    assert cures("quality_not_known", [question]) == [question]
    assert [item.kind for item in asked(_with_pieces(entered, 12, judged=5))] == []
    near_end = (86_400 - T0 // S % 86_400) - 600
    assert [item.kind for item in asked(_with_pieces(entered, 12, judged=5, now=near_end), near_end)] == ["rejects"]


def _with_pieces(machine, total, judged=0, now=3600):
    date = shift_at(machine.calendar, T0 + now * S).business_date
    sums = np.zeros((1, len(FACT_COLUMNS)), np.int64)
    sums[0, FACT["pieces_total"]], sums[0, FACT["pieces_judged"]] = total, judged
    facts = make_table(Facts, [("m", 0, 0, date, "A", "1")], sums)
    return seen(machine, facts=facts, now=now)


def test_an_unknown_product_is_asked_for_and_a_missing_ideal_time_too():
    chosen = replace(MACHINE, product_tag=OPERATOR)
    (question,) = asked(seen(chosen, product="?"))
    assert question.kind == "no_product"
    assert shlex.split(question.command)[2:] == ["my site.yaml", "m", "product", "1", "--from", "00:00"]
    assert [item.kind for item in asked(seen(chosen, product="?"), site=replace(SITE, products=()))] == ["no_products"]
    assert [item.kind for item in asked(seen(product="9"))] == ["unknown_product"]
    (no_ideal,) = asked(seen(replace(MACHINE, products={}), product="2"))
    assert no_ideal.kind == "no_ideal"
    assert no_ideal.file_lines[1].startswith('  "2": {ideal:')
    assert [item.kind for item in asked(seen(replace(MACHINE, pieces=Pieces())))] == ["no_counter"]


def test_long_stops_without_a_reason_are_asked_for_the_longest_first():
    stops = [stop(n * 1000, n * 1000 + 400 + n) for n in range(1, 6)]
    stops += [stop(7000, 7100), stop(8000, 9000, reason="die-jam"), stop(9500, 9900, State.BREAKDOWN)]
    found = asked(seen(stops=stops, now=10_000), 10_000)
    assert [item.kind for item in found] == ["stop"] * 3
    first = shlex.split(found[0].command)
    assert first[:6] == ["nhip", "declare", "my site.yaml", "m", "reason", "die-jam"]
    start = moment_text(T0 + 5000 * S, UTC, T0 + 10_000 * S)
    assert first[6:] == ["--from", start, "--to", moment_text(T0 + 5405 * S, UTC, T0 + 10_000 * S)]
    (without,) = asked(seen(stops=stops[:1], now=10_000), 10_000, replace(SITE, reasons=()))
    assert (without.kind, without.command) == ("no_reasons", "")


def test_every_question_has_its_sentence_and_every_command_is_one():
    source = Path(questions_about.__code__.co_filename).read_text(encoding="utf-8")
    kinds = set(re.findall(r'OpenQuestion\(\s*"(\w+)"', source)) | {"no_reasons", "stop"}
    assert {f"show.ask.{kind}" for kind in kinds} == {key for key in catalogue() if key.startswith("show.ask.")}


def test_a_command_of_a_question_is_understood():
    entered = replace(MACHINE, pieces=Pieces(MACHINE.pieces.total, reject=OPERATOR))
    (question,) = asked(_with_pieces(entered, 3))
    found = CliRunner().invoke(nhip.main, shlex.split(question.command)[1:])
    assert "my site.yaml" in found.output  # there is no such file; the words before it were taken
