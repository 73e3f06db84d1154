"""`nhip doctor`: its judgement, and what it finds on this computer as it really is."""

import json
import os
import socket
import stat
from dataclasses import replace

import pytest
from click.testing import CliRunner

import nhip
from tools.doctor import assess
from tools.doctor.assess import Access, Account, Computer, Disk, Inode, Port, Severity, allowed

ROOT_FOLDER = Inode(0o755, 0, 0)
NHIP = Account("nhip", 997, frozenset({997, 20}))
GATEWAY = Computer(
    bits=64,
    machine="aarch64",
    python=(3, 13),
    numpy="",
    memory_mb=960,
    disk=Disk("/var/lib/nhip", 20_000, "ssd", "ext4"),
    wanted_disk_mb=1000,
    year=2027,
    synchronized=True,
    account=NHIP,
    paths=(Access("/var/lib/nhip", assess.FOLDER, (ROOT_FOLDER,), Inode(0o700, 997, 997)),),
    serial_ports=(Access("/dev/ttyUSB0", assess.READ_WRITE, (ROOT_FOLDER,), Inode(0o660, 0, 20)),),
    ports=(Port("127.0.0.1:8090"),),
    unit="active",
    broker=("mqtt.example.vn:8883", ""),
)


def troubles(computer):
    return [(item.level, item.key) for item in assess.assess(computer) if item.level is not Severity.FINE]


def test_a_sound_gateway_has_no_trouble():
    assert troubles(GATEWAY) == []
    assert assess.worst(assess.assess(GATEWAY)) is Severity.FINE


@pytest.mark.parametrize(
    ("change", "level", "key"),
    [
        ({"bits": 32}, Severity.FAIL, "bits.bad"),
        ({"python": (3, 9)}, Severity.FAIL, "python.bad"),
        ({"numpy": "signal 4"}, Severity.FAIL, "numpy.bad"),
        ({"memory_mb": 240}, Severity.WARN, "memory.bad"),
        ({"disk": Disk("/var", 150, "ssd", "ext4")}, Severity.FAIL, "disk.full"),
        ({"disk": Disk("/var", 800, "ssd", "ext4")}, Severity.WARN, "disk.bad"),
        ({"disk": Disk("/tmp", 9000, "", "tmpfs")}, Severity.FAIL, "medium.volatile"),
        ({"disk": Disk("/mnt", 9000, "", "nfs4")}, Severity.WARN, "medium.remote"),
        ({"disk": Disk("/var", 9000, "sd", "ext4")}, Severity.WARN, "medium.sd"),
        ({"year": 1970}, Severity.FAIL, "clock.wrong"),
        ({"synchronized": False}, Severity.WARN, "clock.bad"),
        ({"unit": "failed"}, Severity.FAIL, "unit.failed"),
        ({"unit": "inactive"}, Severity.WARN, "unit.inactive"),
        ({"unit": ""}, Severity.WARN, "unit.missing"),
        ({"unit": None}, Severity.WARN, "unit.no_systemd"),
        ({"went_back": "0.2 -> 0.1 nhip-agent"}, Severity.WARN, "unit.went_back"),
        ({"broker": ("mqtt.example.vn:8883", "timed out")}, Severity.WARN, "broker.bad"),
        ({"ports": (Port("0.0.0.0:80", "in use", "nginx (process 7)"),)}, Severity.FAIL, "port.taken"),
        ({"ports": (Port("192.0.2.1:80", "no such address"),)}, Severity.FAIL, "port.refused"),
        ({"serial_ports": (Access("/dev/ttyS9", 6, (), None),)}, Severity.FAIL, "serial.missing"),
        ({"account": Account("lan", 1000, frozenset({1000, 20}))}, Severity.FAIL, "path.bad"),
        ({"account": Account("nhip", 997, frozenset({997}))}, Severity.FAIL, "serial.bad"),
        ({"paths": (replace(GATEWAY.paths[0], is_on_read_only_disk=True),)}, Severity.FAIL, "path.read_only"),
    ],
)
def test_what_is_wrong_is_named(change, level, key):
    assert troubles(replace(GATEWAY, **change)) == [(level, key)]


def test_a_port_that_the_agent_itself_has_is_no_trouble():
    assert troubles(replace(GATEWAY, ports=(Port("127.0.0.1:8090", "in use", "nhip agent (process 7)"),))) == []


@pytest.mark.parametrize("mode", [0o700, 0o640, 0o604, 0o040, 0o060, 0o006, 0o711, 0o000])
@pytest.mark.parametrize("needs", [assess.READ, assess.READ_WRITE, assess.FOLDER])
def test_permissions_are_judged_as_the_system_judges_them(tmp_path, mode, needs):
    """The kernel's own answer for an account without privileges, asked in a process of that account."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    file = tmp_path / "file"
    file.touch()
    for uid, gid in ((65534, 65534), (0, 65534), (0, 0)):
        os.chown(file, uid, gid)
        file.chmod(mode)
        found = file.stat()
        node = Inode(stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)
        mine = allowed(Access(str(file), needs, (), node), Account("nobody", 65534, frozenset({65534})))
        tmp_path.chmod(0o755)
        kernel = _asked_as_nobody(file, needs)
        assert mine == kernel, (oct(mode), uid, gid)


def _asked_as_nobody(file, needs):
    folder, name = os.open(file.parent, os.O_RDONLY), file.name
    child = os.fork()
    if child == 0:
        os.setgroups([65534])
        os.setgid(65534)
        os.setuid(65534)
        os.fchdir(folder)  # the folders above belong to the tests
        os._exit(0 if os.access(name, needs) else 1)
    os.close(folder)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# on this computer


def doctor(*words, code=0):
    found = CliRunner().invoke(nhip.main, ["doctor", *map(str, words), "--json"])
    assert found.exit_code == code, found.output
    return {item["key"]: item for item in reversed(json.loads(found.stdout)["findings"])}  # the first of a key


def site_file(folder, more=""):
    file = folder / "site.yaml"
    file.write_text(
        f'site: x\ntimezone: UTC\nmachines: {{}}\nshifts: [{{name: A, from: "06:00", to: "14:00"}}]\n{more}'
    )
    return file


def test_a_free_port_and_one_that_somebody_has(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        file = site_file(tmp_path, f"metrics: 127.0.0.1:{taken.getsockname()[1]}\n")
        found = doctor(file, "--user", "root", code=1)
        assert str(os.getpid()) in found["port.taken"]["values"]["by"]
        assert str(os.getpid()) in found["port.taken"]["text"]
    assert "port.fine" in doctor(file, "--user", "root")


def test_a_folder_that_the_agents_user_may_not_write(tmp_path):
    file = site_file(tmp_path)
    (tmp_path / "closed").mkdir(0o700)
    outbox = tmp_path / "closed" / "site.outbox"
    found = doctor(file, "--outbox", outbox, "--user", "nobody", code=1)
    assert found["path.bad"]["values"] == {"path": str(outbox.parent), "user": "nobody"}
    assert str(outbox.parent) in found["path.bad"]["text"]
    assert "path.bad" not in doctor(file, "--outbox", outbox, "--user", "root")


def test_a_broker_that_answers_and_one_that_does_not(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as broker:
        port = broker.getsockname()[1]
        file = site_file(tmp_path, f"center: {{broker: 'mqtt://127.0.0.1:{port}'}}\n")
        assert "broker.fine" in doctor(file, "--user", "root")
    assert "refused" in doctor(file, "--user", "root")["broker.bad"]["text"]


def test_a_serial_port_that_is_not_plugged_in(tmp_path):
    device = "devices: {m: {kind: modbus_rtu, port: /dev/serial/by-id/none, unit: 1, tags: {n: {holding: 1}}}}\n"
    found = doctor(site_file(tmp_path, device), "--user", "root", code=1)
    assert found["serial.missing"]["values"]["path"] == "/dev/serial/by-id/none"


def test_a_wrong_site_file_is_one_finding_among_others(tmp_path):
    file = site_file(tmp_path, "nonsense: 1\n")
    found = doctor(file, "--user", "root", code=1)
    assert found["site.bad"]["values"]["n"] == 1
    assert "nonsense" in found["site.bad"]["text"]
    assert found["python.fine"]["level"] == "fine"


def test_a_table_in_both_languages(tmp_path):
    file = site_file(tmp_path)
    for lang, word in (("vi", "Đồng hồ"), ("en", "Clock")):
        found = CliRunner().invoke(nhip.main, ["doctor", str(file), "--user", "root", "--lang", lang])
        assert (found.exit_code, word in found.output) == (0, True), found.output


@pytest.mark.parametrize("words", [("nowhere.yaml",), ("--user", "nobody-of-that-name")])
def test_what_is_not_there_is_misconfigured(words):
    assert CliRunner().invoke(nhip.main, ["doctor", *words]).exit_code == 2
