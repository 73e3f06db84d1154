"""Entries at the machine: whatever two tablets, the center and restarts do in whatever order, the numbers are those of a
computation that knew all of it, and what people see is what they entered."""

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
from andon_plant import AndonGateway, form, stop_ms, total
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from test_pipeline import T0, S

from agent.andon.entries.interpret import shift_meant
from oee.kpi.shift import ShiftSpan
from oee.model.declarations import Declaration
from oee.model.facts import MS_NS

STOPPED = {*range(200, 290), *range(600, 700), *range(1000, 1100)}
END = 1320
STOPS = (200, 600, 1000)


@pytest.fixture
async def gateway(tmp_path):
    made = AndonGateway(tmp_path / "outbox.db", STOPPED, END)
    yield made
    await made.close()


async def agree(gateway, until=END):
    await gateway.go(until)
    await gateway.settle()
    assert gateway.told() == gateway.fresh(until)
    return gateway.told()


async def test_a_reason_in_two_taps(gateway):
    await gateway.go(480)
    page = await gateway.page()
    assert [item["stop_ms"] for item in page["questions"]] == [stop_ms(200)]
    assert await gateway.enter(form("reason", 1, stop_ms=stop_ms(200), parts=[{"reason": "jam"}])) == ["saved"]
    page = await gateway.page()
    assert page["questions"] == []
    assert page["entries"][0]["outcome"] == "new"
    told = await agree(gateway)
    assert [(s.reason, s.by) for s in told[2].values() if s.reason] == [("jam", "andon/tablet")]
    assert total(told, "breakdown_ms") == 90_000
    assert (await gateway.page())["entries"][0]["outcome"] == "done"


async def test_a_reason_given_while_the_machine_stands_is_that_of_the_whole_stop(gateway):
    await gateway.go(650)
    page = await gateway.page()
    assert page["questions"][0] == {
        "stop_ms": stop_ms(600), "end_ms": None, "state": "unplanned_stop", "scheduled_ms": 50_000, "saw": "",
    }  # fmt: skip
    assert await gateway.enter(form("reason", 1, stop_ms=stop_ms(600), parts=[{"reason": "late"}])) == ["saved"]
    told = await agree(gateway)
    assert total(told, "starved_ms") == 100_000


async def test_a_stop_with_two_reasons(gateway):
    await gateway.go(480)
    parts = [{"reason": "jam", "until_ms": stop_ms(230)}, {"reason": "meal"}]
    assert await gateway.enter(form("reason", 1, stop_ms=stop_ms(200), parts=parts)) == ["saved"]
    told = await agree(gateway)
    assert (total(told, "breakdown_ms"), total(told, "planned_stop_ms")) == (30_000, 60_000)


async def test_of_a_stop_with_two_reasons_one_is_changed_and_the_other_stays(gateway):
    await gateway.go(480)
    parts = [{"reason": "jam", "until_ms": stop_ms(240)}, {"reason": "meal"}]
    assert await gateway.enter(form("reason", 1, stop_ms=stop_ms(200), parts=parts)) == ["saved"]
    await gateway.settle()
    changed = form("reason", 2, stop_ms=stop_ms(200), parts=[{"reason": "late"}], saw="tablet-1")
    assert await gateway.enter(changed) == ["saved"]
    await gateway.settle()
    page = await gateway.page()
    assert page["questions"] == []
    assert [(row["stop_ms"], row["reason"]) for row in page["stops"]] == [
        (stop_ms(240), "meal"),
        (stop_ms(200), "late"),
    ]
    assert await gateway.enter(form("take_back", 3, entry="tablet-1")) == ["saved"]
    told = await agree(gateway)
    assert (total(told, "starved_ms"), total(told, "planned_stop_ms"), total(told, "breakdown_ms")) == (40_000, 0, 0)


@pytest.mark.parametrize("until", [199, 200, 290, 300, None])
async def test_parts_lie_within_the_stop(gateway, until):
    await gateway.go(480)
    parts = [{"reason": "jam", "until_ms": until and stop_ms(until)}, {"reason": "meal"}]
    [reply] = await gateway.desk.take([form("reason", 1, stop_ms=stop_ms(200), parts=parts)])
    assert reply == {"id": "tablet-1", "state": "refused", "why": "parts"}
    assert gateway.declared() == []


async def test_of_two_tablets_the_later_one_sees_the_first(gateway):
    await gateway.go(480)
    first = form("reason", 1, "tabletone", stop_ms=stop_ms(200), parts=[{"reason": "jam"}])
    second = form("reason", 1, "tablettwo", stop_ms=stop_ms(200), parts=[{"reason": "late"}])
    assert await gateway.enter(first) == ["saved"]
    [reply] = await gateway.desk.take([second])
    assert (reply["state"], reply["other"]["tablet"], reply["other"]["parts"]) == (
        "overtaken", "tabletone", [{"reason": "jam"}],
    )  # fmt: skip
    assert await gateway.desk.take([second]) == [reply], "sent again it gets the same answer"
    assert len(gateway.declared()) == 1
    replaced = form("reason", 2, "tablettwo", stop_ms=stop_ms(200), parts=[{"reason": "late"}], saw="tabletone-1")
    assert await gateway.enter(replaced) == ["saved"]
    told = await agree(gateway)
    assert (total(told, "breakdown_ms"), total(told, "starved_ms")) == (0, 90_000)


async def test_what_the_center_said_first_is_seen_too(gateway):
    await gateway.go(480)
    gateway.declare(Declaration("c1", gateway.now_ns, "m", T0 + 200 * S, T0 + 290 * S, "reason", "late", "Hùng"))
    await gateway.settle()
    unaware = form("reason", 1, stop_ms=stop_ms(200), parts=[{"reason": "jam"}])
    assert await gateway.enter(unaware) == ["overtaken"]
    assert (await gateway.page())["stops"][0]["saw"] == "=late"
    assert await gateway.enter(form("reason", 2, stop_ms=stop_ms(200), parts=[{"reason": "jam"}], saw="=late")) == [
        "saved"
    ]
    assert total(await agree(gateway), "breakdown_ms") == 90_000


async def test_taken_back_the_question_is_open_again(gateway):
    await gateway.go(480)
    await gateway.enter(form("reason", 1, stop_ms=stop_ms(200), parts=[{"reason": "jam"}]))
    await gateway.settle()
    assert await gateway.enter(form("take_back", 2, entry="tablet-1")) == ["saved"]
    await gateway.settle()
    page = await gateway.page()
    assert [item["stop_ms"] for item in page["questions"]] == [stop_ms(200)]
    assert page["entries"] == []
    assert await gateway.enter(form("take_back", 3, entry="tablet-1")) == ["refused"]
    assert total(await agree(gateway), "breakdown_ms") == 0


async def test_taps_add_up_and_are_taken_back_one_by_one(gateway):
    await gateway.go(120)
    await gateway.enter(form("rejects", 1, add=1), form("rejects", 2, add=5), form("rejects", 1, "other7", add=1))
    await gateway.go(180)
    assert await gateway.enter(form("rejects", 3, add=2, cause="scratch"), form("rework", 4, add=3)) == [
        "saved",
        "saved",
    ]
    page = await gateway.page()
    assert page["shifts"][0]["counts"] == {"rejects": 9, "rework": 3}
    assert page["shifts"][0]["causes"] == {"scratch": 2}
    await gateway.enter(form("take_back", 5, entry="tablet-2"))
    await gateway.enter(form("take_back", 6, entry="tablet-3"))
    page = await gateway.page()
    assert page["shifts"][0]["counts"] == {"rejects": 2, "rework": 3}
    assert page["shifts"][0]["causes"] == {}
    told = await agree(gateway)
    assert (total(told, "pieces_process_reject"), total(told, "pieces_rework")) == (2, 3)


async def test_zero_is_an_answer(gateway):
    await gateway.go(300)
    assert (await gateway.page())["shifts"][0]["counts"]["rejects"] is None
    assert await gateway.enter(form("rejects", 1, total=0)) == ["saved"]
    assert (await gateway.page())["shifts"][0]["counts"]["rejects"] == 0
    told = await agree(gateway)
    assert total(told, "pieces_judged") == 209  # the counter's first value is where it begins
    assert total(told, "pieces_good") == 209


async def test_a_total_replaces_taps_and_what_others_declared(gateway):
    await gateway.go(300)
    await gateway.enter(form("rejects", 1, add=4))
    gateway.declare(
        Declaration("c1", gateway.now_ns + 1, "m", T0 + 100 * S, T0 + 150 * S, "rejects", "1", "Hùng", "1"),
        Declaration("c2", gateway.now_ns + 2, "m", T0 + 310 * S, T0 + 330 * S, "rejects", "2", "Hùng", "2"),
    )
    await gateway.settle()
    await gateway.go(400)
    assert await gateway.enter(form("rejects", 2, total=7)) == ["saved"]
    assert (await gateway.page())["shifts"][0]["counts"]["rejects"] == 7
    assert total(await agree(gateway), "pieces_process_reject") == 7
    assert (await gateway.page())["entries"][0]["outcome"] == "done"


async def test_products_and_planned_stops(gateway):
    await gateway.go(100)
    assert await gateway.enter(form("product", 1, ago_s=99, value="1")) == ["saved"]
    await gateway.go(650)
    assert await gateway.enter(form("product", 2, value="2", since_stop=True)) == ["saved"]
    assert await gateway.enter(form("planned_stop", 3)) == ["saved"]
    assert (await gateway.page())["product"] == "2"
    await gateway.go(1005)
    assert await gateway.enter(form("planned_stop", 4, minutes=1, value="meal")) == ["saved"]
    told = await agree(gateway)
    by_product = {key[5]: 0 for key in told[0]}
    for key, row in told[0].items():
        by_product[key[5]] += sum(row[:9])
    assert by_product["2"] > by_product["1"] > 500_000
    assert {stop.reason for stop in told[2].values()} >= {"", "meal"}


async def test_what_cannot_be_entered_is_refused_with_its_reason(gateway):
    await gateway.go(100)
    forms = [
        form("reason", 1, stop_ms=stop_ms(50), parts=[{"reason": "rust"}]),
        form("product", 2, value="9"),
        form("rejects", 3, add=1, cause="rust"),
        form("call", 4, value="pizza"),
        form("step", 5, call="tablet-99", value="solved"),
        form("take_back", 6, entry="tablet-99"),
        form("planned_stop", 7),
        {**form("note", 8, value="x"), "machine": "nobody"},
        form("rejects", 9, add=1, total=2),
        form("rejects", 10, add=-1),
        form("note", 11, value="a\x00b"),
        {"id": "x"},
        None,
    ]
    replies = await gateway.desk.take(forms)
    assert {reply["state"] for reply in replies} == {"refused"}
    assert [reply["why"].split(" ")[0] for reply in replies] == [
        "unknown_reason", "unknown_product", "unknown_cause", "unknown_call", "no_such_call", "no_such_entry",
        "machine_runs", "unknown_machine", *["unreadable"] * 5,
    ]  # fmt: skip
    assert gateway.declared() == []


def test_a_count_belongs_to_the_shift_that_the_tablet_showed():
    morning, night = ShiftSpan("A", 1, 1 * MS_NS, 5 * MS_NS), ShiftSpan("B", 1, 5 * MS_NS, 9 * MS_NS)
    assert shift_meant(1, 0, [night, morning]) is morning, "though it has changed since"
    assert shift_meant(None, 0, [night, morning]) is night
    assert shift_meant(None, 1, [night, morning]) is morning
    assert shift_meant(3, 0, [night, morning]) is shift_meant(None, 1, [night]) is None


async def test_a_total_of_a_shift_by_its_beginning(gateway):
    await gateway.go(300)
    [shift, *_] = (await gateway.page())["shifts"]
    sent = form("rejects", 1, total=3, shift_ms=shift["start_ms"], ends=True)
    assert await gateway.enter(sent, form("rejects", 2, total=9, shift_ms=1)) == ["saved", "refused"]
    assert (await gateway.page())["shifts"][0]["counts"]["rejects"] == 3
    assert (await gateway.page())["ask_rejects"] is None


async def test_a_note_is_kept_in_one_line_that_everybody_can_read(gateway):
    await gateway.go(100)
    assert await gateway.enter(form("note", 1, value=" Đã thay\nkhuôn\u202e\t\xa0số 2 ")) == ["saved"]
    assert (await gateway.page())["entries"][0]["value"] == "Đã thay khuôn số 2"
    assert await gateway.enter(form("note", 2, value="\n\u200d"), form("note", 3, value="a\x07")) == ["refused"] * 2


async def test_a_call_lives_through_its_steps(gateway):
    await gateway.go(100)
    await gateway.enter(form("call", 1, ago_s=40, value="maintenance"), form("call", 2, value="quality"))
    await gateway.go(200)
    await gateway.enter(
        form("step", 3, call="tablet-1", value="on_the_way"), form("step", 4, call="tablet-2", value="withdrawn")
    )
    [call] = (await gateway.page())["calls"]
    assert (call["kind"], call["step"], call["next"]) == (
        "maintenance",
        "on_the_way",
        ["arrived", "solved", "withdrawn"],
    )
    assert call["at_ms"] == {"called": stop_ms(60), "on_the_way": stop_ms(200)}
    assert await gateway.enter(form("step", 5, call="tablet-1", value="on_the_way")) == ["refused"]
    assert await gateway.enter(form("step", 6, call="tablet-1", value="solved")) == ["saved"]
    assert (await gateway.page())["calls"] == []


async def test_while_the_time_is_not_known_entries_wait_on_the_tablet(gateway):
    await gateway.go(100)
    gateway.trusted = False
    [reply] = await gateway.desk.take([form("rejects", 1, add=1)])
    assert reply == {"id": "tablet-1", "state": "later", "why": "clock"}
    gateway.trusted = True
    assert await gateway.enter(form("rejects", 1, ago_s=3, add=1)) == ["saved"]


async def test_a_restart_shows_what_was_there(gateway, tmp_path):
    await gateway.go(480)
    await gateway.enter(form("reason", 1, stop_ms=stop_ms(200), parts=[{"reason": "jam"}]), form("rejects", 2, add=4))
    await gateway.settle()
    before = await gateway.page()
    shutil.copy(tmp_path / "outbox.db", tmp_path / "copy.db")
    shutil.copy(tmp_path / "outbox.db-wal", tmp_path / "copy.db-wal")
    other = AndonGateway(tmp_path / "copy.db", STOPPED, END)
    try:
        await other.committer.commit(final=True)
        await other.board.load()
        other.pipeline.runs["m"].live = gateway.pipeline.runs["m"].live
        other.now_ns = gateway.now_ns
        after = await other.page()
        assert after == before
    finally:
        await other.close()


# sequences

ACTS = st.sampled_from(
    ["reason", "split", "reject", "rework", "total", "product", "planned", "back", "center", "center count"]
)


@st.composite
def acts(draw):
    """(second, tablet, what, details) in order of time; each may be sent twice."""
    out = []
    for _ in range(draw(st.integers(1, 9))):
        details = draw(st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(1, 89), st.booleans()))
        out.append(
            (draw(st.integers(30, END - 1)), draw(st.sampled_from(["tabletone", "tablettwo"])), draw(ACTS), details)
        )
    return sorted(out)


def entry(number, second, tablet, what, details, entered):
    stop, pick, into, late = details
    began = stop_ms(STOPS[stop])
    reason = ("jam", "late", "meal")[pick % 3]
    ago = pick * 3 if late else 0
    match what:
        case "reason":
            return form(
                "reason", number, tablet, ago, stop_ms=began, parts=[{"reason": reason}], saw=entered.get(began, "")
            )
        case "split":
            parts = [{"reason": reason, "until_ms": began + into * 1000}, {"reason": "late"}]
            return form("reason", number, tablet, ago, stop_ms=began, parts=parts, saw=entered.get(began, ""))
        case "reject" | "rework":
            return form("rejects" if what == "reject" else "rework", number, tablet, ago, add=pick + 1)
        case "total":
            return form("rejects", number, tablet, ago, total=pick)
        case "product":
            return form("product", number, tablet, ago, value=str(1 + pick % 2))
        case "planned":
            return form("planned_stop", number, tablet, ago, minutes=pick % 4 + 1)
    return form("take_back", number, tablet, entry=f"{tablet}-{max(number - 1 - pick % 3, 1)}")


def center_says(number, second, what, details):
    stop, pick, into, _ = details
    made_ns = T0 + second * S
    if what == "center":
        start, end = T0 + STOPS[stop] * S, T0 + (STOPS[stop] + into) * S
        return Declaration(f"c{number}", made_ns, "m", start, end, "reason", "late", "Hùng")
    start = T0 + min(into * 10, END - 60) * S
    return Declaration(
        f"c{number}", made_ns, "m", start, start + 60 * S, "rejects", str(pick), "Hùng", ("", "1")[pick % 2]
    )


async def play(path, sequence, restart):
    gateway = AndonGateway(path, STOPPED, END)
    seen, saved, now = {}, [], 0
    try:
        for number, (second, tablet, what, details) in enumerate(sequence, 1):
            if second >= now + 30:
                now = second // 30 * 30
                await gateway.go(now)
            if what.startswith("center"):
                gateway.declare(center_says(number, now, what, details))
            else:
                sent = entry(number, now, tablet, what, details, seen)
                [reply] = await gateway.desk.take([sent])
                assert await gateway.desk.take([sent]) == [reply] or reply["state"] == "refused"
                if reply["state"] == "saved":
                    saved.append(sent)
                    if sent["kind"] == "reason":
                        seen[sent["stop_ms"]] = sent["id"]
                elif reply["state"] == "overtaken":
                    seen[sent["stop_ms"]] = reply["other"]["id"]
            if number % 2:
                await gateway.settle()
            if restart == number:
                await gateway.settle()
                await gateway.close()
                gateway = AndonGateway(path, STOPPED, END)
                await gateway.board.load()
        told = await agree(gateway)
        return told, saved, await gateway.page()
    finally:
        await gateway.close()


def converge(sequence, restart):
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    try:
        return asyncio.run(play(folder / "outbox.db", sequence, restart))
    finally:
        shutil.rmtree(folder)


@settings(max_examples=examples(20), deadline=None)
@given(acts(), st.integers(0, 9))
def test_two_tablets_and_the_center_come_to_the_fresh_sums(sequence, restart):
    converge(sequence, restart)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(acts(), st.integers(0, 9))
def test_five_hundred_sequences_come_to_the_fresh_sums(sequence, restart):
    converge(sequence, restart)


@settings(max_examples=examples(10), deadline=None)
@given(acts(), st.integers(0, 9))
def test_without_the_center_every_piece_that_was_entered_counts_once(sequence, restart):
    """Taps of both tablets add up, and what was taken back does not count."""
    sequence = [item for item in sequence if item[2] in ("reject", "rework", "back", "product", "reason")]
    told, saved, page = converge(sequence, restart)
    back = {item["entry"] for item in saved if item["kind"] == "take_back"}
    for kind, column in (("rejects", "pieces_process_reject"), ("rework", "pieces_rework")):
        entered = sum(item["add"] for item in saved if item["kind"] == kind and item["id"] not in back)
        assert total(told, column) == entered
        assert (page["shifts"][0]["counts"][kind] or 0) == entered
    assert all(item["outcome"] == "done" for item in page["entries"])
