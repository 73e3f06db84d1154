"""Who may import whom, and what a pure file may not touch: a boundary that nobody tests leaks."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT = {
    "oee": set(),
    "wire": {"oee"},
    "config": {"oee"},
    "adapters": {"oee", "config"},
    "agent": {"oee", "wire", "config", "words", "cli", "adapters"},
    "center": {"oee", "wire", "config", "words", "cli"},
    "replay": {"oee", "config", "words", "cli"},
    "tools": {"oee", "config", "words", "cli", "adapters", "agent"},
    "simulator": set(),
    "words": set(),
    "cli": {"config", "words"},
    "demo": {"oee", "wire", "config", "words", "cli", "agent", "center", "simulator"},
}
"""`cli` holds what commands share: options, exits, signals, terminal output. `demo` and `nhip.py` may import every room."""

LIBRARIES = {
    "oee": {"numpy"},
    "wire": {"numpy", "pydantic", "prometheus_client"},
    "config": {"numpy", "pydantic", "ruamel"},
    "words": {"ruamel"},
}
"""Third-party packages that the inner rooms may use; the outer ones choose their own."""

PURE = [
    *ROOT.glob("oee/**/*.py"),
    *ROOT.glob("wire/**/*.py"),
    *(
        ROOT / name
        for name in (
            "adapters/modbus/plan.py",
            "adapters/modbus/block.py",
            "adapters/modbus/decode.py",
            "adapters/modbus/poll.py",
            "adapters/modbus/bus/frames_tcp.py",
            "adapters/modbus/bus/probes.py",
            "adapters/modbus/bus/frames_rtu.py",
            "adapters/modbus/bus/timing.py",
            "agent/outbox/journal/codec.py",
            "agent/uplink/budget.py",
            "agent/uplink/cadence.py",
            "agent/clock/guard.py",
            "agent/uplink/data_estimate.py",
            "agent/devices/freshness.py",
            "agent/outbox/streams.py",
            "agent/corrections/validate.py",
            "agent/uplink/in_flight.py",
            "agent/devices/recorder.py",
            "agent/uplink/sender.py",
            "agent/uplink/stream_window.py",
            "agent/devices/schedule.py",
            "center/contract/streams.py",
            "demo/proof.py",
            "config/templates/fill.py",
            "config/templates/variables.py",
            "tools/browse/profile.py",
            "tools/browse/lines.py",
            "adapters/modbus/service/decodings.py",
            "tools/byte_order/search.py",
            "tools/check/certificate.py",
            "tools/check/certificate_setup.py",
            "tools/init/answers.py",
            "tools/check/machine_now.py",
            "tools/plan/lines.py",
            "adapters/modbus/service/registers.py",
            "tools/init/site_text.py",
            "tools/equipment/use_lines.py",
            "tools/check/uses.py",
            "tools/check/verdict.py",
        )
    ),
]
FORBIDDEN_MODULES = {"socket", "asyncio", "random", "logging", "subprocess", "threading", "sqlite3", "ssl", "os"}
FORBIDDEN_CALLS = {
    "open",
    "print",
    "input",
    "time.time",
    "time.monotonic",
    "time.time_ns",
    "time.sleep",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
}


def _python_files(room):
    return sorted(ROOT.glob(f"{room}/**/*.py"))


def _imports(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_the_rooms_that_it_may(room):
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in _python_files(room)
        for name, line in _imports(path)
        if (top := name.split(".")[0]) in {*MAY_IMPORT, "nhip", "tests"} and top != room and top not in MAY_IMPORT[room]
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", sorted(LIBRARIES))
def test_inner_rooms_use_only_their_libraries(room):
    allowed = LIBRARIES[room] | set(sys.stdlib_module_names) | set(MAY_IMPORT)
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in _python_files(room)
        for name, line in _imports(path)
        if name.split(".")[0] not in allowed
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_pure_file_knows_no_clock_file_or_network(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for name, line in _imports(path)
        if name.split(".")[0] in FORBIDDEN_MODULES
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in FORBIDDEN_CALLS or any(called.endswith("." + name) for name in FORBIDDEN_CALLS if "." in name):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} calls {called}")
    assert not wrong, "\n".join(wrong)


def test_rooms_are_all_known():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"tests"} <= set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("command", "absent"),
    [
        (
            "import agent.run, adapters.modbus_tcp",
            ["prometheus_client", "asyncua", "duckdb", "fastapi", "nicegui", "simulator", "center"],
        ),
        ("import nhip", ["numpy", "asyncua", "duckdb", "fastapi", "nicegui", "pymodbus", "paho"]),
        ("import oee.engine.step, wire.bodies", ["asyncua", "duckdb", "fastapi", "ruamel", "pymodbus", "paho"]),
    ],
)
def test_a_part_loads_only_what_it_runs(command, absent):
    code = f"import sys; {command}; print(*[m for m in {absent!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert found.stdout.split() == []


def test_every_test_file_has_a_name_of_its_own():
    """pytest imports them by their bare names, and so do those that share a part."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))
