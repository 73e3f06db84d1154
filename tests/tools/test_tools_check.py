"""`nhip check`: every fault is told with its cause, against real servers and the simulated factory."""

import asyncio
import json
import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from tools_plant import in_background, modbus, run, write_yaml

from simulator import demo
from simulator.serve import LivePlant, wall_ns
from words import say

SHIFTS = [{"name": "A", "days": "daily", "from": "00:00", "to": "24:00"}]


def site(port, tags, **more):
    """A site with one Modbus device `plc` and whatever else is given."""
    device = {
        "kind": "modbus_tcp",
        "host": "127.0.0.1",
        "port": port,
        "every": "50ms",
        "timeout": "200ms",
        "tags": tags,
    }
    return {"site": "x", "timezone": "Asia/Ho_Chi_Minh", "devices": {"plc": device}, "shifts": SHIFTS} | more


def machine(total, product="1", **more):
    state = {"from_counts": {"ideals": 2.5, "at_least": "30s"}}
    return {"m-1": {"state": state, "pieces": {"total": total, "reject": "operator"}, "product": product} | more}


def checked(tmp_path, data, *arguments, lang="en"):
    """The report as JSON, and the exit status."""
    path = write_yaml(tmp_path / "site.yaml", data)
    result = run("check", path, "--for", "300ms", "--json", *arguments, lang=lang)
    return json.loads(result.stdout), result.exit_code


def faults(report, tag):
    (found,) = [item for item in report["tags"] if item["tag"] == tag]
    return [fault["code"] for fault in found["faults"]]


def test_fine_tags_are_fine(tmp_path):
    with modbus(registers={10: 7}, bits={3}) as server:
        report, status = checked(tmp_path, site(server.port, {"n": {"holding": 10}, "b": {"coil": 3}}))
    assert status == 0
    assert report["ok"]
    values = {item["tag"]: item["value"] for item in report["tags"]}
    assert values == {"plc.n": 7, "plc.b": True}
    for item in report["tags"]:
        assert (item["quality"], item["plausible"], item["moving"], item["faults"]) == ("good", True, False, [])
        assert item["age_s"] < 1
        assert 0 < item["latency_s"] < 0.2
    assert {function for _, function, _, _ in server.asked} <= {1, 2, 3, 4}


def test_each_bad_tag_has_its_own_reason(tmp_path):
    nan = {20: 0x7FC0, 21: 0}
    tags = {
        "missing": {"holding": 300},
        "nan": {"holding": 20, "type": "float32"},
        "bcd": {"holding": 22, "type": "bcd16"},
        "tiny": {"holding": 24, "type": "float32"},
        "fine": {"holding": 1},
    }
    registers = nan | {22: 0xABCD, 24: 0, 25: 5}
    with modbus(registers=registers, refused={(3, 300)}) as server:
        report, status = checked(tmp_path, site(server.port, tags))
    assert status == 1
    assert faults(report, "plc.missing") == ["illegal_address"]
    assert faults(report, "plc.nan") == ["not_a_number"]
    assert faults(report, "plc.bcd") == ["not_bcd"]
    assert faults(report, "plc.tiny") == ["odd_float"]
    assert faults(report, "plc.fine") == []


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"dead_units": {1}}, "peer_silent"),
        ({"mode": "close"}, "closed_by_peer"),
        ({"mode": "junk"}, "other_protocol"),
        ({"code": 11}, "gateway_no_answer"),
        ({"code": 10}, "gateway_no_path"),
        ({"code": 1}, "illegal_function"),
        ({"code": 4}, "device_failure"),
    ],
)
def test_a_device_that_cannot_be_read(tmp_path, settings, code):
    with modbus(**settings) as server:
        report, status = checked(tmp_path, site(server.port, {"n": {"holding": 10}}))
        shown = run("check", tmp_path / "site.yaml", "--for", "100ms")
    assert status == 1
    assert faults(report, "plc.n") == [code]
    assert say(f"fault.{code}", "en", code=settings.get("code", ""), protocol="HTTP") in shown.stdout


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        ("vi", ("đảo dây A/B", "điện trở cuối đường 120 Ω", "trùng địa chỉ slave", "Thường do", "✗ hỏng")),
        ("en", ("A and B swapped", "120 Ω terminator", "two slaves with one address", "Usually", "✗ failed")),
    ],
)
def test_a_fault_names_cause_and_action_in_plain_words(tmp_path, lang, said):
    with modbus(dead_units={1}) as server:
        path = write_yaml(tmp_path / "site.yaml", site(server.port, {"n": {"holding": 10}}))
        result = run("check", path, "--for", "100ms", lang=lang)
    assert result.exit_code == 1
    for words in said:
        assert words in result.stdout


def test_nobody_at_the_port(tmp_path):
    with modbus() as server:
        port = server.port
    report, status = checked(tmp_path, site(port, {"n": {"holding": 10}}))
    assert status == 1
    assert faults(report, "plc.n") == ["port_closed"]
    assert not report["devices"][0]["connected"]


def test_a_word_order_is_found_by_how_the_value_moves(tmp_path):
    with modbus(registers={100: 5, 101: 0}) as server:
        still, count = server.values, iter(range(10_000))

        def counting(function, start, size):
            server.registers[100] = 5 + next(count)
            return still(function, start, size)

        server.values = counting
        tags = {"n": {"holding": 100, "type": "uint32"}, "right": {"holding": 100, "type": "uint32", "order": "CDAB"}}
        report, status = checked(tmp_path, site(server.port, tags))
    assert status == 1
    assert faults(report, "plc.n") == ["words_swapped"]
    assert faults(report, "plc.right") == []
    assert all(item["moving"] for item in report["tags"])


def test_a_pulse_too_fast_for_the_period_is_refused_before_connecting(tmp_path):
    products = {"1": {"name": "A", "ideal": "1.5s"}}
    with modbus() as server:
        data = site(server.port, {"pulse": {"discrete": 0}}, machines=machine("plc.pulse"), products=products)
        assert checked(tmp_path, data)[1] == 0
        asked = len(server.asked)
        data["devices"]["plc"]["every"] = "1s"
        report, status = checked(tmp_path, data)
        assert status == 2
        assert [fault["code"] for fault in report["refused"]["plc.pulse"]] == ["pulse_too_fast"]
        assert len(server.asked) == asked
        result = run("check", tmp_path / "site.yaml", "--offline", lang="vi")
        assert result.exit_code == 2
        assert "every nhiều nhất 750ms" in result.stdout
        data["machines"]["m-1"]["pieces"]["max_per_s"] = 0.4
        assert checked(tmp_path, data, "--offline")[1] == 0
        del data["products"], data["machines"]["m-1"]["pieces"]["max_per_s"]
        data["machines"]["m-1"]["product"] = "operator"
        report, status = checked(tmp_path, data, "--offline")
        assert status == 0
        assert [fault["code"] for fault in report["refused"]["plc.pulse"]] == ["pulse_rate_unknown"]


def test_complaints_come_first_and_offline_connects_to_nobody(tmp_path):
    with modbus() as server:
        data = site(server.port, {"n": {"holding": 10}})
        assert run("check", write_yaml(tmp_path / "a.yaml", data), "--offline", lang="vi").exit_code == 0
        data["devices"]["plc"]["tags"]["n"] = {"holding": 10, "typ": "int16"}
        for lang, said in (("vi", "sửa xong hãy chạy lại"), ("en", "mend them and run this again")):
            result = run("check", write_yaml(tmp_path / "b.yaml", data), lang=lang)
            assert result.exit_code == 2
            assert "typ" in result.stderr
            assert said in result.stderr
        assert server.connections == 0
    assert run("check", tmp_path / "nowhere.yaml").exit_code == 2


@asynccontextmanager
async def factory():
    """The demo factory, live; yields its site file as data and the model."""
    model = demo.factory(datetime.now(UTC), history_days=0)
    live, stop = LivePlant(model, wall_ns()), asyncio.Event()
    addresses = await live.open()
    live.catch_up(None, None, None)
    playing = asyncio.create_task(live.play(stop))
    while not live.live:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    try:
        yield demo.site(addresses, "mqtt://127.0.0.1:1", model), live
    finally:
        stop.set()
        await playing
        await live.close()


@pytest.fixture(scope="module")
def plant():
    with in_background(factory()) as (data, live):
        yield data, live


def test_the_whole_factory_passes(tmp_path, plant):
    path = write_yaml(tmp_path / "site.yaml", plant[0])
    result = run("check", path, "--for", "1500ms", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 0, [item for item in report["tags"] if not item["ok"]]
    assert len(report["tags"]) == 29
    assert all(item["latency_s"] for item in report["tags"])
    states = {item["machine"]: item["state"] for item in report["machines"]}
    assert set(states) == set(plant[0]["machines"])


def test_opc_ua_tags_say_why_they_are_bad(tmp_path, plant):
    data = plant[0] | {
        "devices": {"inj": dict(plant[0]["devices"]["inj-1-opc"])},
        "machines": {},
        "lines": {},
        "targets": [],
    }
    data["devices"]["inj"]["tags"] = {
        "shots": {"node": "nsu=urn:simulator:injection-moulding;s=Job.CycleCounter"},
        "gone": {"node": "nsu=urn:simulator:injection-moulding;s=Nope"},
        "elsewhere": {"node": "nsu=urn:nobody;s=x"},
        "many": {"node": "i=2255"},
    }
    report, status = checked(tmp_path, data)
    assert status == 1
    assert faults(report, "inj.shots") == []
    assert faults(report, "inj.gone") == ["no_node"]
    assert faults(report, "inj.elsewhere") == ["no_namespace"]
    assert faults(report, "inj.many") == ["opcua_array"]


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_tally_is_compared_with_what_the_engine_counts(tmp_path, plant, lang):
    path = write_yaml(tmp_path / "site.yaml", plant[0])
    common = ("check", path, "--for", "100ms", "--count", "4s", "--machine", "press-1", "--json")
    result = run(*common, "--tally", "pieces=900,stops=40", lang=lang)
    assert result.exit_code == 1
    count = json.loads(result.stdout)["count"]
    assert not count["ok"]
    from_ns, to_ns = (round(datetime.fromisoformat(count[key]).timestamp() * 1e9) for key in ("from", "to"))
    truth = plant[1].plant.truth(from_ns, to_ns, to_ns)["machines"]["press-1"]["pieces"]["total"]
    assert abs(count["pieces"]["counted"] - truth) <= 1


def test_the_person_is_asked(tmp_path, plant):
    path = write_yaml(tmp_path / "site.yaml", plant[0])
    result = run("check", path, "--for", "100ms", "--count", "1s", lang="vi", answers="pack-1\n\n12345\n0\n")
    assert result.exit_code == 1
    assert "Bạn đếm được bao nhiêu sản phẩm" in result.stderr
    assert "KHÔNG KHỚP" in result.stdout
    assert run("check", path, "--machine", "nobody").exit_code == 2
    assert run("check", path, "--tally", "pieces=x").exit_code == 2


@pytest.mark.parametrize(("lang", "title"), [("vi", "Biên bản nghiệm thu tín hiệu"), ("en", "Commissioning record")])
def test_the_record_stands_alone(tmp_path, lang, title):
    evil = "<script>alert(1)</script>"
    with modbus(refused={(3, 300)}) as server:
        data = site(
            server.port, {"n": {"holding": 10}, "gone": {"holding": 300}}, machines=machine("plc.n", "operator")
        )
        data["name"] = evil
        data["products"] = {"9": {"name": evil, "ideal": "2s", "source": "guess"}}
        path, record = write_yaml(tmp_path / "site.yaml", data), tmp_path / "record.html"
        result = run(
            "check", path, "--for", "200ms", "--certificate", record, "--verified-by", "Nguyễn Văn An", lang=lang
        )
    assert result.exit_code == 1
    page = record.read_text(encoding="utf-8")
    for text in (title, "plc.n", "plc.gone", "m-1", "Nguyễn Văn An", f'<html lang="{lang}">', "holding 300"):
        assert text in page
    for key in ("devices", "products", "by_hand", "source.guess", "role.total"):
        assert say(f"certificate.{key}", lang) in page
    assert f"127.0.0.1:{server.port}, unit 1" in page
    assert evil not in page
    assert not re.search(r"""(src|href)=|https?://|url\(""", page)


def test_files_that_are_not_here_are_told_with_their_line(tmp_path):
    data = site(502, {"n": {"holding": 10}})
    data["center"] = {"broker": "mqtt://192.0.2.5", "username": "u", "password_file": "secrets/password"}
    write_yaml(tmp_path / "a.yaml", data)
    line = (tmp_path / "a.yaml").read_text().split("password_file")[0].count("\n") + 1
    for lang, said in (("vi", "Trên máy này không có tệp"), ("en", "There is no file")):
        result = run("check", tmp_path / "a.yaml", "--offline", lang=lang)
        assert result.exit_code == 0  # it may be checked on another machine
        assert f"a.yaml:{line}" in result.output
        assert said in result.output
    report, _ = checked(tmp_path, data, "--offline")
    assert [item["code"] for item in report["complaints"]] == ["missing_file"]
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "password").write_text("x")
    assert checked(tmp_path, data, "--offline")[0]["complaints"] == []
