"""What rows say about a tag: pure, so that every fault of the dictionary can be made here."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest
from asyncua.ua.uaerrors import (
    BadCertificateInvalid,
    BadCertificateTimeInvalid,
    BadCertificateUntrusted,
    BadIdentityTokenRejected,
    BadSecurityPolicyRejected,
    BadTooManySessions,
    BadViewIdUnknown,
    UaError,
)

import adapters
import agent.devices
import tools
from adapters.connection_faults import connection_fault
from adapters.contract import DeviceMisconfigured, Fault, NotConnected, Row
from adapters.modbus.bus.faults import (
    SILENT,
    AskedRange,
    ExceptionResponse,
    LineTaken,
    LostDevice,
    LostLine,
    LostUnit,
    PortUnusable,
    range_fault,
)
from adapters.modbus.bus.frames_rtu import request_frame
from adapters.modbus.bus.line import other_talker
from adapters.opcua.client import NoEndpoint
from adapters.opcua.errors import connection_error
from config import compile_site, load_profiles, parse_site
from oee.model.samples import series
from oee.model.states import Quality, State
from tools.check.count import parse_hand_count
from tools.check.machine_now import compute, longer_than, unfitted, window
from tools.check.uses import Counting, Use, static_faults, uses
from tools.check.verdict import DeviceObservation, RunningMachine, TagDescription, tag_report, with_still_counter
from tools.faults import causes, full_text, sentence, where_to_look
from words import fault_text
from words.catalogue import catalogue

S = 1_000_000_000
FACTS = TagDescription("holding 1 uint32 ABCD", "", 1.0, 5.0, word_order=True)


def seen(values, *, reads=20, every_s=1.0, quality=Quality.GOOD, source_lag_s=None, confirmed_s=None):
    """A device whose tag `n` had these values, one each period."""
    rows, last = [], object()
    for i, value in enumerate(values):
        if value != last:
            source_ns = None if source_lag_s is None else round((i * every_s - source_lag_s) * S)
            rows.append(Row("n", round(i * every_s * S), value, quality, source_ns))
        last = value
    end_ns = round((len(values) - 1) * every_s * S)
    confirmed_ns = end_ns if confirmed_s is None else round(confirmed_s * S)
    return DeviceObservation(
        "d", read_s=[0.01] * reads, rows={"n": rows}, confirmed_ns={"n": confirmed_ns}, until_ns=end_ns
    )


def counting(**changes):
    given = {"machine": "m", "role": "total", "fastest_per_s": 1.0, "max_per_s": 100.0, "bits": 32, "pulse": False}
    return Use(("m",), (Counting(**(given | changes)),))


UNUSED = Use()


def codes(device, use=UNUSED, facts=FACTS):
    return [fault.code for fault in tag_report(device, "n", facts, use).faults]


@pytest.mark.parametrize(
    ("values", "use", "expected"),
    [
        ([5, 6, 7, 8], counting(), []),
        ([5.5, 5.6], Use(), []),
        ([0.0], Use(), []),
        ([1e-38], Use(), ["odd_float"]),
        ([-3e38], Use(), ["odd_float"]),
        ([65536, 131072], Use(), ["words_swapped"]),
        ([65536, 65537], Use(), []),
        ([327680], counting(), ["words_maybe_swapped"]),
        ([327680], Use(), []),
        (["12"], counting(), ["text_counter"]),
        (["recipe A"], Use(), []),
        (["recipe \ufffd"], Use(), ["unreadable_text"]),
        ([50, 49, 48, 47], counting(bits=None, max_per_s=1.0), ["counter_odd"]),
        ([10, 30, 50, 70], counting(), ["faster_than_ideal"]),
        ([10, 11, 12, 13, 14], counting(fastest_per_s=None), []),
        ([True, False] * 10, counting(pulse=True), ["pulse_at_limit"]),
        ([True] * 10 + [False] * 10, counting(pulse=True), []),
    ],
)
def test_values_and_how_they_move(values, use, expected):
    assert codes(seen(values), use) == expected


def test_a_node_that_gives_now_this_kind_and_now_that_is_judged_by_its_last_value():
    """Nobody puts its bytes in order, so nothing is asked about its steps."""
    plain = replace(FACTS, word_order=False, byte_order=False)
    assert codes(seen([1.5, 2]), facts=plain) == []
    assert codes(seen(["two", 2]), facts=plain) == []


def test_quality_age_and_clocks():
    assert codes(seen([5], quality=Quality.BAD)) == ["bad_quality"]
    assert codes(DeviceObservation("d")) == ["never_seen"]
    assert codes(DeviceObservation("d", fault=Fault("port_closed"))) == ["port_closed"]
    assert codes(seen([5] * 11, confirmed_s=2)) == ["stale"]
    assert codes(seen([5] * 11, confirmed_s=6)) == []
    assert codes(seen([5, 6], source_lag_s=3600)) == ["clock_off"]
    assert codes(seen([5], source_lag_s=3600)) == []  # an old value may well be true since then
    noted = seen([5], quality=Quality.BAD)
    noted.notes["n"] = Fault("illegal_address", values={"code": "2"})
    assert codes(noted) == ["illegal_address"]


def test_a_counter_that_stands_while_its_machine_runs():
    report = tag_report(seen([5] * 11), "n", FACTS, counting())
    assert with_still_counter(report, {"m": RunningMachine(10, 0.2)}).faults == ()
    assert with_still_counter(report, {}).faults == ()
    assert with_still_counter(report, {"m": RunningMachine(10, 0)}).faults == ()
    (fault,) = with_still_counter(report, {"m": RunningMachine(10, 1)}).faults
    assert (fault.code, fault.severity) == ("counter_still", "warn")


def test_every_fault_can_be_told_in_both_languages():
    values = dict.fromkeys(("code", "asked", "answered", "bytes", "others", "value", "swapped", "status", "type", "node", "age", "limit", "seconds",
                            "kind", "old", "new", "machine", "rate", "ideal", "changes", "reads", "period", "needed", "bits", "index", "field", "found", "values", "protocol"), "7")  # fmt: skip
    values |= {"times": "3"}
    known = {key.split(".")[1] for key in catalogue() if key.startswith("fault.")} - {"heading"}
    sources = "".join(
        path.read_text(encoding="utf-8")
        for room in (tools, adapters, agent.devices)
        for path in Path(room.__file__).parent.rglob("*.py")
    )
    for code in known:
        assert f'"{code}"' in sources, f"nothing ever says fault.{code}"
        for lang in ("vi", "en"):
            result = [say(Fault(code, values=values), lang) for say in (sentence, causes, where_to_look)]
            assert all(result), code


BY_EXCEPTION = {
    0: "wrong_length", 1: "illegal_function", 2: "illegal_address", 3: "illegal_value", 4: "device_failure",
    5: "device_busy", 6: "device_busy", 8: "device_failure", 10: "gateway_no_path", 11: "gateway_no_answer", 99: "device_failure",
}  # fmt: skip


def caused(error, cause):
    error.__cause__ = cause
    return error


ASKED = AskedRange(3, "holding", 5, 8)
URL = "opc.tcp://h"


@pytest.mark.parametrize(
    ("error", "code", "extent"),
    [
        (LostUnit("10.0.0.1:502", 1, "did not answer"), "unit_silent", "unit"),
        (LostUnit("x", 3, "r", "other_unit_answers", values={"asked": "3", "answered": "1"}), "other_unit_answers", "unit"),
        (LostDevice("x", "junk", "other_protocol", values={"protocol": "TLS"}), "other_protocol", "device"),
        (LostLine("/dev/x", "the line is never quiet", "line_noise"), "line_noise", "line"),
        (LineTaken("/dev/x", *other_talker(bytes(20), 16)), "line_noise", "line"),
        (LineTaken("/dev/x", *other_talker(request_frame(5, "holding", 0, 1), 16)), "other_master", "line"),
        (PortUnusable("/dev/x", "cannot do 7 baud", "serial_settings"), "serial_settings", "line"),
        (caused(NotConnected("x: no connection within 3 s"), TimeoutError()), "connect_timeout", "device"),
        (caused(NotConnected("x: No route to host"), OSError(113, "No route to host")), "host_unreachable", "device"),
        (caused(NotConnected("x"), OSError("Multiple exceptions: [Errno 111] a, [Errno 111] b")), "port_closed", "device"),
        (caused(NotConnected("x"), OSError("odd")), "connection_failed", "device"),
        (caused(NotConnected("x"), socket.gaierror(-2, "unknown")), "no_such_host", "device"),
        (TimeoutError(), "unit_silent", "device"),
        (DeviceMisconfigured("password_file 'x' cannot be read"), "device_misconfigured", "device"),
        *((connection_error(error, URL, reached=True), code, "device") for error, code in (
            (TimeoutError(), "opcua_silent"),
            (BadTooManySessions(), "opcua_crowded"),
            (BadIdentityTokenRejected(), "opcua_user"),
            (UaError("No matching endpoints: 1, 2"), "opcua_security"),
            (BadSecurityPolicyRejected(), "opcua_security"),
            (BadCertificateUntrusted(), "opcua_untrusted"),
            (BadCertificateTimeInvalid(), "opcua_certificate_time"),
            (BadCertificateInvalid(), "opcua_certificate"),
            (BadViewIdUnknown(), "opcua_refused"),
            (UaError("Server certificate mismatch"), "opcua_other_certificate"),
            (NoEndpoint(), "opcua_no_endpoint"),
            (ValueError("no key"), "opcua_files"),
            (ConnectionResetError(104, "reset"), "opcua_closed"),
        )),
        (connection_error(TimeoutError(), URL, reached=False), "connect_timeout", "device"),
    ],
)  # fmt: skip
def test_why_a_device_cannot_be_read(error, code, extent):
    fault = connection_fault(error)
    assert (fault.code, fault.extent) == (code, extent)
    for lang in ("vi", "en"):  # every placeholder is filled by the path that a fault really takes
        assert "{" not in full_text(fault, lang)
        assert fault_text(code, fault.values, lang) == sentence(fault, lang), "the agent and the center say the same"
        assert fault_text(code, fault.values, lang, "causes") == causes(fault, lang)


@pytest.mark.parametrize(("exception", "code"), BY_EXCEPTION.items())
def test_what_an_exception_code_means(exception, code):
    refusal = ExceptionResponse(exception, ASKED)
    assert (refusal.code, refusal.asked.unit, refusal.asked.function, refusal.asked.last) == (exception, 3, 3, 12)
    values = {"code": str(exception), "unit": "3", "table": "holding", "function": "3", "first": "5", "last": "12"}
    assert (refusal.fault.code, refusal.fault.values) == (code, values)
    assert refusal.fault.extent == ("unit" if exception in {10, 11} else "range")
    for lang in ("vi", "en"):
        assert "{" not in full_text(refusal.fault, lang)


def test_a_silent_range_is_told_apart_from_a_silent_unit():
    assert range_fault(SILENT, ASKED).extent == "range"
    assert range_fault(SILENT, ASKED).code == "range_silent"


def test_what_a_newer_gateway_says_is_shown_as_it_is():
    assert fault_text("quantum", {"q": "7", "lang": "x"}, "en") == "quantum q=7 lang=x"
    assert fault_text("quantum", {}, "en", "causes") == ""


SITE = """
site: x
timezone: UTC
devices:
  io: {kind: modbus_tcp, host: h, every: EVERY, tags: {pulse: {coil: 0}, n: {input: 0}, run: {coil: 1}, spare: {coil: 2}}}
machines:
  m: {state: {from_counts: {ideals: 2.5, at_least: 30s}}, pieces: {total: io.pulse, reject: operator}, product: "2"}
  k:
    state: [{when: io.run, is: running}, {is: unplanned_stop}]
    pieces: {total: io.n, reject: operator}
    product: operator
products:
  "1": {ideal: 100ms}
  "2": {ideal: 8s, ideal_per: cycle, per_count: 4}
shifts: [{name: A, from: "00:00", to: "24:00"}]
"""


def compiled(every):
    site, _ = parse_site(SITE.replace("EVERY", every))
    return site, compile_site(site, load_profiles())


@pytest.mark.parametrize(("every", "refused"), [("4s", []), ("4100ms", ["io.pulse"])])
def test_a_pulse_is_seen_only_if_each_half_outlasts_the_period(every, refused):
    assert list(static_faults(*compiled(every))) == refused  # one product only, 8 s a count: high 4 s, low 4 s


@pytest.mark.parametrize(("every", "warned"), [("500ms", []), ("1s", ["io.run"])])
def test_a_blinking_lamp_is_seen_only_if_it_is_read_often_enough(every, warned):
    text = SITE.replace("when: io.run", 'when: "io.run or blinking(io.run, 3s)"').replace("EVERY", every)
    site, _ = parse_site(text)
    found = static_faults(site, compile_site(site, load_profiles()))
    assert [name for name, faults in found.items() if faults[0].code == "blink_unseen"] == warned
    assert all(fault.severity == "warn" for name in warned for fault in found[name])


def test_a_register_only_must_not_wrap_unseen():
    found = static_faults(*compiled("2h"))
    assert [fault.code for fault in found["io.n"]] == ["wraps_unseen"]


def test_uses_of_tags():
    used = uses(*compiled("1s"))
    assert used["io.spare"] == Use()
    assert used["io.run"].machines == ("k",)
    assert [(item.role, item.pulse, item.fastest_per_s) for item in used["io.pulse"].counts] == [("total", True, 0.125)]
    assert used["io.n"].counts[0].fastest_per_s == 10


def test_the_same_engine_counts_pieces_and_stops():
    machine = compiled("1s")[1]["k"]
    begin = 1_800_000_000 * S
    rows = {
        "io.n": [(begin + (i - 5) * S, 100 + i, Quality.GOOD) for i in range(20)],
        "io.run": [(begin - 60 * S, True, Quality.GOOD), (begin + 20 * S, False, Quality.GOOD), (begin + 30 * S, True, Quality.GOOD)],
    }  # fmt: skip
    result = compute(machine, window(rows, begin, begin + 60 * S), begin + 60 * S)
    assert result.pieces == 14  # the value at the beginning is the baseline
    assert [(stop.state, stop.end_ns - stop.start_ns) for stop in result.stops] == [(State.MINOR_STOP, 10 * S)]
    assert longer_than(result.stops, 5, begin) == list(result.stops)
    assert longer_than(result.stops, 11, begin) == []


def test_a_tally_as_text():
    assert parse_hand_count("pieces=412,stops=3").pieces == 412
    assert parse_hand_count(" stops=3").pieces is None
    for wrong in ("", "pieces", "pieces=-1", "colour=2"):
        with pytest.raises(ValueError, match="no tally"):
            parse_hand_count(wrong)


def test_a_connection_that_was_lost_and_came_back_is_said():
    seen = DeviceObservation("d", lost=3, from_ns=0, until_ns=20 * 10**9)
    (warning,) = seen.warnings
    assert (warning.code, warning.values) == ("connection_lost", {"times": "3", "seconds": "20"})
    assert not DeviceObservation("d", lost=3, fault=Fault("port_closed")).warnings, "said for each tag already"


def test_text_where_conditions_compare_numbers_is_told():
    conditions = {
        "io.n in (6, 16)": True, "not (io.n == 6) or io.run": True, "io.n + 1 > 2": True, "above(io.n, on=4, off=3)": True,
        "io.n == 'Executing'": False, "io.n == 6 or io.n == 'Executing'": False, "io.n in ('A', 'B')": False,
    }  # fmt: skip
    for text, is_number in conditions.items():
        site, _ = parse_site(SITE.replace("EVERY", "1s").replace("when: io.run,", f'when: "{text}",'))
        use = uses(site, compile_site(site, load_profiles()))["io.n"]
        assert use.is_number is is_number, text
        assert ("text_for_number" in codes(seen(["Executing"]), Use(is_number=use.is_number))) is is_number
        assert (
            ("number_for_text" in codes(seen([3]), use))
            is use.is_text
            is (text[5:] in {"== 'Executing'", "in ('A', 'B')"})
        )
    assert codes(seen([6]), Use(is_number=True)) == []
    assert codes(seen(["Executing"]), Use(is_text=True)) == []


@pytest.mark.parametrize(
    ("states", "values", "found"),
    [
        ("{profile: machinery-state-names, state: io.n}", {"n": "Ausführung"}, ["io.n"]),
        ("{profile: machinery-state-names, state: io.n}", {"n": "Executing"}, []),
        (
            "{profile: machinery-state-names, state: io.n}",
            {"n": "NotAvailable"},
            [],
        ),  # a rule says that this is unknown
        ("{profile: packml, state: io.n, mode: io.m}", {"n": 18, "m": 1}, ["io.m", "io.n"]),
        ("{profile: packml, state: io.n, mode: io.m}", {"n": 18}, []),  # the mode is not known yet
        ("{profile: packml, state: io.n, mode: io.m}", {"n": 18, "m": 2}, []),
        ('[{when: "io.n == 6", is: running}, {is: unplanned_stop}]', {"n": 18}, []),  # the last rule means something
        ('[{when: "io.n == 6", is: running}, {when: "io.n == 7", is: setup}]', {"n": 18}, ["io.n"]),
    ],
)
def test_a_state_that_no_rule_fits_is_told(states, values, found):
    text = SITE.replace("EVERY", "1s").replace("run: {coil: 1}", "run: {coil: 1}, m: {holding: 9}")
    text = text.replace("state: [{when: io.run, is: running}, {is: unplanned_stop}]", f"state: {states}")
    site, _ = parse_site(text)
    machine = compile_site(site, load_profiles())["k"]
    samples = {f"io.{name}": series([(0, value, Quality.GOOD)]) for name, value in values.items()}
    assert unfitted(machine, samples, 10**9) == found
