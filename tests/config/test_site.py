"""What a sound site file becomes: machines, calendars, products in whole numbers, and what the center is told."""

import json
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import config
from agent.store.site import site_body
from oee.model.calendars import cut, to_ns
from oee.model.machine import Counter, CountGap, Ideal
from oee.model.states import CalendarClass, State
from wire.site import SiteBody

EXAMPLES = sorted((Path(config.__file__).parent / "examples").glob("*.yaml"))
VAN_LONG = Path(config.__file__).parent / "examples" / "van-long.yaml"
PROFILES = config.load_profiles()
HEAD = 'site: plant\ntimezone: Asia/Ho_Chi_Minh\nshifts: [{name: A, days: mon-sat, from: "06:00", to: "14:00"}]\n'
DEVICE = """
devices:
  plc: {kind: modbus_tcp, host: 192.0.2.10, tags: {
    run: {coil: 0}, u16: {holding: 1}, i32: {holding: 2, type: int32}, f: {holding: 4, type: float32},
    u64: {holding: 6, type: uint64}, bcd: {holding: 10, type: bcd16}, scaled: {holding: 11, scale: 10}}}
  ua: {kind: opcua, url: "opc.tcp://192.0.2.20:4840", tags: {n: {node: "ns=2;s=N"}}}
"""


def compiled(text):
    site, _ = config.parse_site(HEAD + DEVICE + text)
    return config.compile_site(site, PROFILES)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_loads_compiles_and_describes_itself(path):
    site, warnings = config.read_site(path)
    assert warnings == ()
    machines = config.compile_site(site, PROFILES)
    assert set(machines) == set(site.machines)
    body = SiteBody.model_validate(json.loads(json.dumps(config.describe(site, 7))))
    assert body.valid_from_ns == 7
    assert set(body.machines) == set(machines)


def test_targets_are_described_as_ratios_pieces_and_seconds_and_change_no_hash():
    text = f"{HEAD}{DEVICE}"
    aims = "targets: [{oee: 65%, quality: 0.99}, {pieces: 3200, takt: 1.5s, since: 2026-03-01}]\n"
    site, _ = config.parse_site(text + aims)
    body = config.describe(site)
    assert [item["values"] for item in body["targets"]] == [
        {"oee": 0.65, "quality": 0.99},
        {"pieces": 3200, "takt_s": 1.5},
    ]
    assert SiteBody.model_validate(body).targets[1].since == date(2026, 3, 1)
    assert config.config_hash(site) == config.config_hash(config.parse_site(text)[0])
    without = site_body(config.describe(config.parse_site(text)[0]), 7)
    assert "targets" not in without, "centers of earlier versions do not know it"
    assert site_body(body, 7)["targets"][0]["values"] == {"oee": 0.65, "quality": 0.99}


def test_what_is_described_for_advice_changes_no_hash():
    text = VAN_LONG.read_text(encoding="utf-8")
    site, _ = config.parse_site(text)
    body = SiteBody.model_validate(config.describe(site, 7))
    assert (body.trade, body.tariff_per_kwh) == ("plastics", 1886)
    assert body.lines["sewing"].stations == ["sew-3"]
    assert body.reasons["maintenance"].maintenance == "preventive"
    assert (body.products["7"].verified, body.products["7"].verified_by) == (date(2026, 3, 2), "Lan")
    assert body.products["1"].verified is None
    press, injection, sewing = (body.machines[key] for key in ("press-1", "inj-7", "sew-3"))
    assert (press.kind, press.quality, press.states) == ("press", "plc", ["running", "unplanned_stop", "breakdown"])
    assert (injection.kind, injection.quality) == ("injection", "operator")
    assert {"running", "unplanned_stop"} <= set(injection.states)
    assert (sewing.kind, sewing.states) == ("", ["running", "unplanned_stop"])
    plain = text
    for part in (
        "trade: plastics\n",
        "tariff: 1886                         # VND a kilowatt-hour\n",
        "    kind: press\n",
        "    kind: injection\n",
        "    verified: {date: 2026-03-02, by: Lan}\n",
        ", maintenance: preventive",
        ", stations: [sew-3]",
    ):
        assert part in plain
        plain = plain.replace(part, "")
    assert config.config_hash(config.parse_site(plain)[0]) == config.config_hash(site)


def test_every_tag_of_a_compiled_machine_is_a_tag_of_a_device():
    site = config.load_site(VAN_LONG)
    known = {f"{name}.{tag}" for name, device in site.devices.items() for tag in device.tags}
    for machine in config.compile_site(site, PROFILES).values():
        assert machine.tags() <= known


def test_ideal_time_of_a_cycle_is_divided_by_its_pieces():
    machines = config.compile_site(config.load_site(VAN_LONG), PROFILES)
    since_ns = to_ns(datetime(2026, 3, 1, tzinfo=ZoneInfo("Asia/Ho_Chi_Minh")))
    assert machines["press-1"].products["7"].ideals == (Ideal(6_000_000, since_ns, "design"),)
    assert machines["inj-7"].products["7"].ideals == (Ideal(6_500_000, since_ns, "design"),)
    assert machines["inj-7"].products["7"].per_count == 4
    assert machines["press-1"].products["1"].ideals == (Ideal(1_200_000, 0, "guess"),)


def test_cycle_without_pieces_of_its_own_takes_the_machines():
    machine = compiled("""
products: {"1": {ideal: 3s, ideal_per: cycle}}
machines: {a: {state: [{is: running}], pieces: {total: plc.u16, per_count: 3}, product: "1"}}
""")["a"]
    assert machine.products["1"].ideals[0].us == 1_000_000
    assert (machine.product_tag, machine.product) == ("", "1")


def test_ideal_times_by_date_are_in_order():
    text = """
products: {"1": {source: timed, ideals: [{ideal: 2s, since: 2026-05-01, source: design}, {ideal: 1.5s}]}}
machines: {a: {state: [{is: running}]}}
"""
    ideals = compiled(text)["a"].products["1"].ideals
    assert [(ideal.us, ideal.source) for ideal in ideals] == [(1_500_000, "timed"), (2_000_000, "design")]
    site, _ = config.parse_site(HEAD + DEVICE + text)
    assert config.describe(site)["products"]["1"]["ideal_s"] == 2.0
    assert config.describe(site, ideals[1].since_ns - 1)["products"]["1"]["ideal_s"] == 1.5


@pytest.mark.parametrize(
    ("tag", "bits", "signed"),
    [
        ("plc.u16", 16, False),
        ("plc.i32", 32, True),
        ("plc.f", None, False),
        ("plc.u64", None, False),
        ("plc.bcd", None, False),
        ("plc.scaled", None, False),
        ("plc.run", None, False),
        ("ua.n", 32, False),
    ],
)
def test_counters_wrap_as_their_tags_do(tag, bits, signed):
    machine = compiled(f"machines: {{a: {{state: [{{is: running}}], pieces: {{total: {tag}, max_per_s: 5}}}}}}")["a"]
    assert replace(machine.pieces.total, poll_ns=0, period_ns=0) == Counter(tag, bits, signed, 5)


def test_a_counter_may_say_its_width_itself():
    text = "machines: {a: {state: [{is: running}], pieces: {good: {tag: ua.n, bits: 16, signed: true, max_per_s: 2}}}}"
    assert replace(compiled(text)["a"].pieces.good, poll_ns=0, period_ns=0) == Counter(
        "ua.n", 16, signed=True, max_per_s=2
    )


def test_gaps():
    machines = compiled("""
machines:
  a: {state: {from_counts: {at_least: 30s}}, pieces: {total: plc.u16}}
  b: {state: [{when: plc.run, is: running}], no_count: {ideals: 3, at_least: 1min, is: starved}, pieces: {total: plc.u16}}
""")
    assert machines["a"].rules == ()
    assert machines["a"].gap == CountGap(2.5, 30_000_000_000, State.UNPLANNED_STOP)
    assert machines["b"].gap == CountGap(3, 60_000_000_000, State.STARVED)


def test_rules_may_stand_before_a_profile():
    rules = compiled("""
machines: {a: {state: [{when: "plc.u16 == 11", is: planned_stop}, {profile: packml, tag: plc.u16}]}}
""")["a"].rules
    assert rules[0].state is State.PLANNED_STOP
    assert rules[1].when.tags == {"plc.u16"}
    assert rules[-1].when is None


def test_settings_in_nanoseconds():
    machine = compiled("""
machines: {a: {state: [{is: running}], minor_stop_at_most: 1.2s, shortest_run: 500ms, shortest_stop: 2s,
               startup_pieces: 3, product_change: next_stop}}
""")["a"]
    assert machine.minor_stop_at_most_ns == 1_200_000_000
    assert (machine.shortest_run_ns, machine.shortest_stop_ns) == (500_000_000, 2_000_000_000)
    assert (machine.startup_pieces, machine.product_change) == (3, "next_stop")


def test_night_shift_with_breaks_on_both_sides_of_midnight():
    site, _ = config.parse_site("""
site: plant
timezone: Asia/Ho_Chi_Minh
shifts: [{name: C, days: daily, from: "22:00", to: "06:00", breaks: ["23:50-00:10", "02:00-02:30"]}]
exceptions: [{date: 2026-02-16, to: 2026-02-18, shifts: []}]
""")
    calendar = config.compile_calendar(site, "")
    assert calendar.shifts[0].breaks == ((85_800, 87_000), (93_600, 95_400))
    assert set(calendar.exceptions) == {date(2026, 2, day) for day in (16, 17, 18)}
    zone = ZoneInfo("Asia/Ho_Chi_Minh")
    spans = cut(calendar, to_ns(datetime(2026, 2, 15, 22, tzinfo=zone)), to_ns(datetime(2026, 2, 16, 6, tzinfo=zone)))
    paused = spans.calendar == CalendarClass.BREAK
    assert int((spans.end_ns - spans.start_ns)[paused].sum()) == 50 * 60 * 1_000_000_000
    assert set(spans.shift.tolist()) == {"C"}


def test_hash_follows_what_numbers_depend_on_and_nothing_else():
    text = VAN_LONG.read_text(encoding="utf-8")

    def hash_of(*changes):
        changed = text
        for old, new in changes:
            assert old in changed
            changed = changed.replace(old, new)
        return config.config_hash(config.parse_site(changed)[0])

    same = hash_of()
    assert len(same) == 16
    assert (
        hash_of(("192.0.2.10", "192.0.2.99"), ("Máy dập 1", "Máy dập số 1"), ("mqtt.example.vn", "mqtt2.example.vn"))
        == same
    )
    assert hash_of(("    minor_stop_at_most: 5min\n", "")) == same, "a default written out is the default"
    assert hash_of(("days: mon-sat", 'days: "tue-sat,mon"')) == same
    for old, new in [
        ("minor_stop_at_most: 5min", "minor_stop_at_most: 4min"),
        ("ideal: 1.2s", "ideal: 1.3s"),
        ("holding: 100", "holding: 101"),
        ('to: "22:00"', 'to: "21:00"'),
        ("is: breakdown}\n  no-material", "is: planned_stop}\n  no-material"),
        ("formula: nakajima", "formula: iso22400"),
    ]:
        assert hash_of((old, new)) != same, new


def test_a_file_keeps_its_hash_in_later_versions():
    text = """site: bench
timezone: Asia/Ho_Chi_Minh
devices:
  plc: {kind: modbus_tcp, host: 127.0.0.1, every: 2s, tags: {days: {holding: 3}, a: {coil: 1, every: 5s}}}
  ua: {kind: opcua, url: "opc.tcp://h:4840/", tags: {x: {node: "ns=2;s=a"}}}
machines:
  m: {state: [{when: plc.a, is: running}, {is: unplanned_stop}], product: "1"}
products: {"1": {ideal: 1s}}
shifts: [{name: A, days: mon-sat, from: "06:00", to: "14:00"}]
"""
    assert config.config_hash(config.parse_site(text)[0]) == "8b3e8073ca2cffb0"


def test_names_default_to_ids_and_one_language_stands_in_for_the_other():
    site, _ = config.parse_site(HEAD + "products: {'1': {ideal: 1s}}\nreasons: {jam: {name: {vi: Kẹt}, is: breakdown}}")
    told = config.describe(site)
    assert told["name"] == {"vi": "plant", "en": "plant"}
    assert told["products"]["1"]["name"] == {"vi": "1", "en": "1"}
    assert told["reasons"]["jam"]["name"] == {"vi": "Kẹt", "en": "Kẹt"}


def test_a_missing_file_is_a_complaint(tmp_path):
    with pytest.raises(config.Misconfigured) as caught:
        config.load_site(tmp_path / "none.yaml")
    assert caught.value.complaints[0].code == "cannot_read"
    (tmp_path / "latin.yaml").write_bytes("name: Vân".encode("latin-1"))
    with pytest.raises(config.Misconfigured) as caught:
        config.load_site(tmp_path / "latin.yaml")
    assert caught.value.complaints[0].code == "not_utf8"


def test_clock_times_need_no_quotes():
    site, _ = config.parse_site("site: p\ntimezone: UTC\nshifts:\n  - name: A\n    from: 06:00\n    to: 14:30\n")
    assert (site.shifts[0].start_s, site.shifts[0].end_s) == (21_600, 52_200)


def test_a_rotation_reaches_the_core_and_the_center():
    text = """
site: r
timezone: Asia/Ho_Chi_Minh
devices: {p: {kind: modbus_tcp, host: 127.0.0.1, tags: {r: {coil: 0}}}}
machines: {m: {state: [{when: p.r, is: running}, {is: unplanned_stop}]}}
shifts:
  - {name: A, from: "06:00", to: "14:00", rotation: {days: 4, from: 2026-01-05, on: [1, 2]}}
"""
    site = config.parse_site(text, "r.yaml")[0]
    shift = config.compile_calendar(site, "").shifts[0]
    assert [shift.on(date(2026, 1, day)) for day in range(5, 11)] == [True, True, False, False, True, True]
    told = config.describe(site)["calendars"][""]["shifts"][0]["rotation"]
    assert told == {"days": 4, "start": "2026-01-05", "on": [0, 1]}


def test_files_lie_beside_the_site_file_and_change_no_number(tmp_path):
    text = """
site: x
timezone: UTC
center: {bundle: x.main.bundle}
devices:
  inj:
    kind: opcua
    url: opc.tcp://192.0.2.20:4840
    user: nhip
    password_file: /etc/nhip/opc
    server_certificate_file: inj.der
    tags: {shots: {node: "i=1"}}
"""
    file = tmp_path / "site.yaml"
    file.write_text(text)
    site, _ = config.read_site(file)
    assert site.center.bundle == str(tmp_path / "x.main.bundle")
    assert site.devices["inj"].password_file == "/etc/nhip/opc"
    assert site.devices["inj"].server_certificate_file == str(tmp_path / "inj.der")
    assert site.devices["inj"].certificate_file is None
    assert config.config_hash(site) == config.config_hash(config.parse_site(text)[0])
