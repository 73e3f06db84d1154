"""`nhip init`: whatever is answered, what is written is valid; nothing is overwritten."""

import json

import pytest
from tools_plant import run

from config import compile_site, load_profiles, read_site

FLAGS = (
    "--site", "van-long", "--name", "Nhựa Vân Long: #1", "--shift", "A mon-sat 06:00-14:00 10:00-10:15",
    "--shift", "B mon-sat 14:00-22:00", "--device", "plc=192.168.1.10:502/3",
    "--device", "inj=opc.tcp://192.168.1.20:4840", "--tag", "plc.running: {coil: 0}",
    "--tag", "plc.alarm: {holding: 90}", "--tag", "plc.strokes: {holding: 100, type: uint32, order: CDAB}",
    "--tag", 'inj.shots: {node: "nsu=urn:m;s=Shots"}',
    "--machine", 'press-1 line=stamping name="Máy dập 1" running=plc.running alarm=plc.alarm count=plc.strokes',
    "--machine", "inj-7 count=inj.shots", "--product", "Ốp nhựa A", "--ideal", "1.2",
    "--broker", "mqtts://mqtt.example.vn:8883",
)  # fmt: skip


@pytest.mark.parametrize(("lang", "comment"), [("vi", "# Máy được đo"), ("en", "# What is measured")])
def test_flags_alone_make_a_valid_file(tmp_path, lang, comment):
    path = tmp_path / "site.yaml"
    result = run("init", path, *FLAGS, "--yes", lang=lang)
    assert result.exit_code == 0, result.output
    site, warnings = read_site(path)
    assert not [item for item in warnings if item.severity == "error"]
    assert comment in path.read_text(encoding="utf-8")
    assert (site.site, site.name["vi"], site.timezone) == ("van-long", "Nhựa Vân Long: #1", "Asia/Ho_Chi_Minh")
    assert site.devices["plc"].unit == 3
    assert site.devices["plc"].tags["strokes"].order == "CDAB"
    assert [shift.name for shift in site.shifts] == ["A", "B"]
    assert len(site.shifts[0].breaks) == 1
    machines = compile_site(site, load_profiles())
    assert machines["press-1"].pieces.total.tag == "plc.strokes"
    assert machines["inj-7"].gap is not None
    assert machines["press-1"].products["1"].ideals[0].us == 1_200_000
    assert run("check", path, "--offline", lang=lang).exit_code == 0


def test_questions_and_answers(tmp_path):
    path = tmp_path / "site.yaml"
    answers = """\
Vân Long
van-long


A mon-sat 6-14
A mon-sat 06:00-14:00

plc=10.0.0.5


running: {coil: 0}
speed: {holding: 1, type: float8}
strokes: {holding: 4}


press-1
press-1 running=plc.run
press-1 running=plc.running count=plc.strokes



"""
    result = run("init", path, answers=answers, lang="vi")
    assert result.exit_code == 0, result.output
    site, _ = read_site(path)
    assert (site.site, site.name["en"]) == ("van-long", "van-long")
    assert list(site.devices["plc"].tags) == ["running", "strokes"]
    assert site.machines["press-1"].product == "operator"
    for said in ("không dùng làm mã được", "không phải ca", "cần ít nhất một tín hiệu", "không phải tín hiệu",
                 "cần running= hoặc count=", "không có tín hiệu plc.run"):  # fmt: skip
        assert said in result.stderr


EQUIPMENT = (
    "--site", "may-mac", "--shift", "A mon-sat 06:00-14:00", "--device", "meter=/dev/ttyUSB7:9600:none/3",
    "--tag", "meter.power: {input: 52, type: float32}", "--use", "moxa-iologik-e1210 device=io-1 host=192.168.1.31",
    "--use", "pulse-counter machine=sew-1 count=io-1.count_0 line=sewing",
    "--use", "pulse-counter machine=sew-2 count=io-1.count_1",
    "--use", "power-running machine=grinder-1 power=meter.power on=4 off=3", "--product", "Áo", "--ideal", "45s",
)  # fmt: skip


def test_equipment_by_flags(tmp_path):
    path = tmp_path / "site.yaml"
    result = run("init", path, *EQUIPMENT, "--yes", "--json", lang="vi")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["machines"] == ["grinder-1", "sew-1", "sew-2"]
    assert found["warnings"] == ["modbus_port_name"]
    site, _ = read_site(path)
    assert (site.devices["meter"].baud, site.devices["meter"].unit) == (9600, 3)
    assert site.machines["sew-1"].line == "sewing"
    assert {machine.product for machine in site.machines.values()} == {"1"}
    assert compile_site(site, load_profiles())["sew-1"].products["1"].ideals[0].us == 45_000_000
    assert path.read_text(encoding="utf-8").count("- equipment: pulse-counter") == 1
    assert run("check", path, "--offline").exit_code == 0


def test_a_product_in_a_row_of_equipment_is_text(tmp_path):
    path = tmp_path / "site.yaml"
    own = "pulse-counter machine=sew-3 count=io-1.count_2 product="
    more = ("--use", f"{own}operator", "--use", f"{own.replace('sew-3', 'sew-4')}1")
    assert run("init", path, *EQUIPMENT, *more, "--yes").exit_code == 0
    machines = read_site(path)[0].machines
    assert (machines["sew-3"].product, machines["sew-4"].product) == ("operator", "1")


def test_equipment_by_questions(tmp_path):
    path = tmp_path / "site.yaml"
    answers = """\
may-mac


A mon-sat 06:00-14:00


moxa
moxa-iologik-e1210
io-1
192.168.1.31
stack-light
cnc-1
io-1.di_0
io-1.di_99





stack-light
cnc-1
io-1.di_0
io-1.di_1



io-1.count_3




"""
    result = run("init", path, answers=answers, lang="vi")
    assert result.exit_code == 0, result.output
    site, _ = read_site(path)
    assert site.machines["cnc-1"].pieces.total.tag == "io-1.count_3"
    assert len(site.machines["cnc-1"].state) == 3
    for said in ("Không có mẫu “moxa”", "io-1.di_99", "Event Counter", "Tag đếm phế phẩm"):
        assert said in result.output


@pytest.mark.parametrize("text", ["no-such host=1", "pulse-counter machine", "pulse-counter"])
def test_equipment_that_makes_no_sense_writes_nothing(tmp_path, text):
    path = tmp_path / "site.yaml"
    assert run("init", path, "--site", "x", "--use", text, "--yes").exit_code == 2
    assert not path.exists()


def test_an_existing_file_is_left_alone(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text("mine")
    result = run("init", path, *FLAGS, "--yes", lang="vi")
    assert result.exit_code == 2
    assert "không ghi đè" in result.stderr
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--tag", "nope.x: {coil: 0}"), "there is no such device"),
        (("--tag", "plc.x: {coil: 70000}"), "is no tag"),
        (("--device", "2plc=10.0.0.1"), "is no device"),
        (("--shift", "A"), "is no shift"),
        (("--machine", "m-9 colour=red"), "cannot understand"),
        (("--machine", "m-9 count=plc.nothing"), "nothing"),
        (("--timezone", "Mars/Base"), "Mars/Base"),
    ],
)
def test_wrong_flags_write_nothing(tmp_path, more, said):
    path = tmp_path / "site.yaml"
    result = run("init", path, *FLAGS, *more, "--yes")
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert not path.exists()


def test_next_to_nothing_is_valid_too(tmp_path):
    path = tmp_path / "site.yaml"
    assert run("init", path, "--site", "yes", "--yes").exit_code == 0
    assert read_site(path)[0].site == "yes"
