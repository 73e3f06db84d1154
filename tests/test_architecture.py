"""Who may import whom, what a pure module may not touch, and how large things may grow: what nobody tests leaks.

The tables are meant to be read. A new arrow, box or exception is written into them by hand, in the commit that needs it.
"""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from config import TAKEN
from scripts.code_tree import Module, boxes_and_arrows, modules, private_imports

ROOT = Path(__file__).resolve().parent.parent
SOURCES = modules(ROOT)

# between rooms

MAY_IMPORT = {
    "oee": set(),
    "wire": {"oee"},
    "config": {"oee"},
    "words": set(),
    "cli": {"config", "words"},
    "adapters": {"oee", "config"},
    "agent": {"oee", "wire", "config", "words", "cli", "adapters"},
    "center": {"oee", "wire", "config", "words", "cli"},
    "replay": {"oee", "config", "words", "cli"},
    "tools": {"oee", "config", "words", "cli", "adapters", "agent"},
    "simulator": set(),
    "demo": {"oee", "wire", "config", "words", "cli", "agent", "center", "simulator"},
}
"""`demo` belongs to the front door: the only place that sees every room."""

LIBRARIES = {
    "oee": {"numpy", "scipy"},
    "wire": {"numpy", "pydantic", "prometheus_client"},
    "config": {"numpy", "pydantic", "ruamel"},
    "words": {"yaml"},
}
"""Third-party packages that the inner rooms may use; the outer ones choose their own."""

# inside a room

ARROWS = {
    "oee": """
        advice/ -> kpi/ model/
        kpi/    -> engine/ model/
        engine/ -> model/
        model/
        benchmark/
    """,
    "oee/benchmark": """
        table -> disclosure
        disclosure
    """,
    "oee/advice": """
        gain/     -> written measures/ trust window grid statistics/
        written   -> life look trust finding
        life      -> look catalogue finding window
        look      -> catalogue trust finding window
        catalogue -> trust rules/ finding window grid statistics/
        trust     -> finding window
        rules/    -> measures/ finding window beside grid statistics/
        measures/ -> finding window grid statistics/
        finding   -> window
        window    -> beside grid
        beside    -> grid
        grid
        statistics/
    """,
    "oee/advice/gain": """
        written    -> action verdict detectable effect plan
        action     -> verdict detectable plan
        verdict    -> detectable effect measured plan metrics
        detectable -> effect measured plan metrics
        effect     -> measured
        measured   -> plan metrics
        plan       -> metrics
        metrics
    """,
    "oee/engine": """
        correction     -> step deltas state
        step           -> aggregate deltas events settle stops window production state counters
        aggregate      -> events window
        deltas         -> stops state
        events         -> window classify_stops production
        settle         -> window production state counters timeline
        stops          -> window
        window         -> classify_stops production state counters counting/ timeline
        classify_stops -> production timeline
        production     -> counters counting/ timeline
        state          -> counting/
        counters       -> counting/
        counting/
        timeline
    """,
    "wire": """
        bodies           -> bounds envelope
        offline_transfer -> topics
        receipts         -> envelope marks
        site             -> bounds
        values           -> envelope value_buffer
        bounds
        broker_limits
        declare
        envelope
        marks
        packet_limit
        prometheus
        topics
        value_buffer
    """,
    "config": """
        compile/   -> check/ templates/ site/ devices/
        load/      -> check/ templates/ site/ center yaml/
        check/     -> templates/ site/ devices/ yaml/
        templates/ -> site/ devices/ yaml/
        site/      -> devices/ yaml/
        bundle     -> yaml/
        center     -> alerts budget mail yaml/
        alerts     -> mail yaml/
        budget     -> yaml/
        mail       -> yaml/
        devices/   -> yaml/
        yaml/
    """,
    "adapters": """
        modbus_rtu/       -> modbus/ contract
        modbus_tcp/       -> modbus/ contract
        modbus/           -> connection_faults contract planned
        opcua/            -> connection_faults contract browsing planned
        connection_faults -> contract
        kinds             -> contract
        contract          -> browsing planned
        browsing
        planned
    """,
    "adapters/modbus": """
        face     -> service/ model
        unit     -> poll bus/ decode plan model
        poll     -> block bus/ decode plan
        service/ -> bus/ decode plan model
        block    -> decode plan model
        bus/     -> plan model
        decode   -> model
        plan     -> model
        model    -> tag
        tag
    """,
    "agent": """
        run          -> andon/ reports/ feed/ corrections/ store/ uplink/ clock/ outbox/ compute/ devices/ process/
        andon/       -> reports/ store/ clock/ outbox/ compute/ devices/ view/ process/
        reports/     -> feed/ store/ uplink/ outbox/ devices/ view/ process/
        commands/    -> corrections/ store/ clock/ outbox/ compute/ view/
        feed/        -> corrections/ store/ uplink/ clock/ outbox/ compute/ devices/ process/
        corrections/ -> store/ uplink/ outbox/ compute/ process/
        store/       -> uplink/ outbox/ compute/ devices/ process/
        uplink/      -> outbox/ process/
        clock/       -> compute/ devices/ process/
        outbox/      -> compute/
        compute/
        devices/
        view/
        process/
    """,
    "agent/andon": """
        andon    -> board desk notices http/ views/
        board    -> desk http/ views/
        desk     -> entries/ views/
        notices  -> entries/
        http/    -> entries/
        views/   -> entries/
        entries/
    """,
    "agent/uplink": """
        uplink        -> delivery reception sender budget cadence mqtt/
        delivery      -> publisher reception announcements sender budget mqtt/
        publisher     -> announcements traffic budget in_flight mqtt/
        reception     -> announcements sender
        announcements -> budget cadence mqtt/
        data_estimate -> budget
        sender        -> stream_window
        traffic       -> budget
        budget
        cadence
        in_flight
        mqtt/
        stream_window
    """,
    "agent/outbox": """
        dividing     -> envelopes journal/ streams
        recovery     -> outbox eviction envelopes entries declarations disk streams
        outbox       -> eviction envelopes file entries declarations disk journal/ streams
        eviction     -> envelopes file disk journal/
        envelopes    -> file streams
        file         -> tables entries declarations disk journal/
        tables       -> disk
        entries      -> declarations
        declarations
        disk
        journal/
        packing
        streams
    """,
    "agent/corrections": """
        offline           -> corrections corrector damaged_states machine_digest
        damaged_states
        corrections       -> late_declarations recomputation corrector inbox validate
        redating          -> recomputation archive
        late_declarations -> corrector validate
        recomputation     -> corrector machine_digest
        corrector         -> archive
        outdated          -> machine_digest
        archive
        inbox
        machine_digest
        validate
    """,
    "center": """
        run/        -> outgoing/ accounts/ api/ ingest/ runtime/ database/ contract/ model/
        commands/   -> outgoing/ accounts/ api/ ingest/ queries/ runtime/ database/ contract/ model/
        outgoing/   -> console/ api/ queries/ runtime/ database/ contract/ model/
        console/    -> accounts/ api/ ingest/ queries/ runtime/ database/ contract/ model/
        accounts/   -> api/ database/ contract/ model/
        api/        -> ingest/ queries/ runtime/ database/ contract/ model/
        ingest/     -> runtime/ ledger/ database/ contract/ model/
        queries/    -> runtime/ contract/ model/
        runtime/    -> ledger/ database/ contract/ model/
        ledger/     -> database/ contract/ model/
        database/   -> contract/ model/
        stores/     -> contract/ model/
        contract/   -> model/
        model/
    """,
    "center/outgoing": """
        alerts/    -> mail
        benchmark/ -> reports/ page_request
        directory/ -> page_request
        statement/ -> monthly/ reports/ apart page_request
        monthly/   -> reports/ apart page_request
        reports/   -> apart mail
        page_request
        apart
        mail
    """,
    "center/outgoing/benchmark": """
        job      -> figures quarters
        page     -> api
        api      -> quarters
        figures  -> quarters
        quarters
    """,
    "center/outgoing/statement": """
        page    -> api desk content
        public  -> api desk sheet content
        api     -> desk content
        desk    -> gather content
        gather  -> content
        pdf     -> sheet content
        sheet   -> content
        content
    """,
    "center/outgoing/directory": """
        page  -> desk files rows
        api   -> desk files rows
        desk  -> files rows
        files -> rows
        rows
    """,
    "center/outgoing/monthly": """
        page        -> api desk sheet content
        plan_page   -> plan
        papers_page -> papers content
        papers      -> content
        api         -> desk content
        desk        -> gather sheet content
        gather      -> figures content
        plan
        pdf     -> sheet archive content
        sheet   -> parts figures content
        parts   -> figures content
        figures -> content
        archive -> content
        content
    """,
    "center/queries": """
        across/    -> losses trend waterfall question
        entries    -> trend question
        gateways   -> sites question
        delivery   -> question
        losses     -> question
        quarantine -> question
        sites      -> question
        stops      -> paging question
        waterfall  -> trend question
        trend      -> targets question
        targets    -> question
        values/    -> question
        paging
        question
    """,
    "center/ingest": """
        manual_import      -> worker planning/
        worker             -> gateway_state settle receipts ingest_queue notice_keeper peer_sync mqtt planning/ retry
        gateway_state      -> boxes receipts notice_keeper mqtt
        boxes              -> settle planning/
        settle             -> receipts peer_sync planning/ retry
        receipts           -> peer_sync
        ingest_queue       -> mqtt
        peer_sync          -> planning/
        declaration_sender
        notice_keeper
        mqtt               -> own_messages
        own_messages
        planning/
        retry
    """,
    "center/api": """
        app          -> numbers parameters access responses outside problems
        declarations -> parameters access problems
        advice/      -> parameters access exports/ problems
        calls        -> parameters access problems
        targets      -> parameters access problems
        numbers      -> parameters responses problems
        upkeep/      -> access problems
        parameters   -> access responses
        quarantine   -> access problems
        access       -> outside problems
        responses    -> exports/
        outside      -> problems
        exports/
        problems
    """,
    "center/console": """
        advice/       -> document frame draw/
        worklist/     -> delivery/ document frame draw/ windows
        admin/        -> document frame draw/
        targets/      -> document frame draw/
        declare/      -> machine/ document frame draw/
        pages         -> session/ delivery/ fleet/ machine/ document frame
        session/      -> document frame draw/
        delivery/     -> document frame draw/
        fleet/        -> document frame draw/ windows
        document      -> frame draw/
        machine/      -> frame draw/ windows
        frame         -> draw/
        draw/
        windows
    """,
    "replay": """
        command -> advise report/ rows drive past
        report/ -> rows drive read/ totals
        advise  -> drive past
        rows    -> drive read/ totals
        drive   -> read/ totals past
        read/
        totals  -> past
        past
    """,
    "simulator": """
        serve      -> history plant truth plc/ behaviour/ control factory
        history    -> plant plc/ behaviour/ factory
        demo       -> site factory
        plant      -> truth behaviour/ timetable factory
        site       -> plc/ factory
        truth      -> plc/ behaviour/ timetable
        plc/       -> behaviour/ factory
        behaviour/ -> timetable factory
        timetable  -> factory
        control
        factory
    """,
    "tools": """
        commands/   -> browse/ byte_order/ check/ doctor/ verify/ init/ scan/ equipment/ plan/
        browse/     -> faults
        byte_order/ -> faults
        check/      -> faults plan/
        doctor/
        verify/
        init/
        scan/       -> faults
        equipment/
        faults
        plan/
    """,
    "tools/check": """
        command     -> certificate observe result count verdict machine_now uses
        certificate -> count verdict machine_now
        observe     -> verdict
        result      -> count verdict machine_now
        count       -> machine_now
        verdict     -> uses
        machine_now
        uses
    """,
}
"""Boxes of a folder from top to bottom, and which boxes below each may import. A name that ends in `/` is a folder."""

MOST_BOXES = 14

# what a pure module may not touch

PURE_ROOMS = ("oee", "wire")
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

# sizes and names: these lists may only shrink

MOST_LINES_OF_A_CLASS, MOST_METHODS, MOST_LINES_OF_A_FILE = 200, 12, 450
LARGER: dict[str, str] = {}
"""{path or path:Class: why it may be larger}."""

SAME_NAME: dict[str, str] = {}
"""{class name: why two places may bear it}."""


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_the_rooms_that_it_may(room):
    rooms = {*MAY_IMPORT, "nhip", "tests", "scripts"}
    wrong = [
        f"{module.path}:{item.line} imports {item.dotted}"
        for module in SOURCES
        if module.room == room
        for item in module.imports
        if (top := item.module.split(".")[0]) in rooms and top != room and top not in MAY_IMPORT[room]
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", sorted(LIBRARIES))
def test_inner_rooms_use_only_their_libraries(room):
    allowed = LIBRARIES[room] | set(sys.stdlib_module_names) | set(MAY_IMPORT)
    wrong = [
        f"{module.path}:{item.line} imports {item.dotted}"
        for module in SOURCES
        if module.room == room
        for item in module.imports
        if item.module.split(".")[0] not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def test_only_advice_uses_scipy_and_only_its_special_functions():
    used = [
        (module.folder, item.dotted, f"{module.path}:{item.line} imports {item.dotted}")
        for module in SOURCES
        for item in module.imports
        if item.module.split(".")[0] == "scipy"
    ]
    assert used
    wrong = [
        line
        for folder, dotted, line in used
        if not folder.startswith("oee/advice") or not dotted.startswith("scipy.special")
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_that_runs_on_a_gateway_imports_advice():
    outer = {"center", "replay", "demo"}
    wrong = [
        f"{module.path}:{item.line} imports {item.dotted}"
        for module in SOURCES
        if module.room not in outer and not module.folder.startswith("oee/advice")
        for item in module.imports
        if item.dotted.startswith("oee.advice")
    ]
    assert not wrong, "\n".join(wrong)


def test_rooms_are_all_known():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"tests"} == set(MAY_IMPORT)
    assert {module.room for module in SOURCES} == packages - {"tests"}


@cache
def _table(place):
    """{box: boxes that it may import}, in the order of the table."""
    lines = [line.split("->") for line in ARROWS[place].strip().splitlines()]
    return {box.strip(): rest[0].split() if rest else [] for box, *rest in lines}


@pytest.mark.parametrize("place", ARROWS)
def test_a_folder_holds_the_boxes_of_its_table_and_not_too_many(place):
    boxes, _ = boxes_and_arrows(SOURCES, place)
    assert sorted(boxes) == sorted(_table(place))
    assert len(boxes) <= MOST_BOXES


@pytest.mark.parametrize("place", ARROWS)
def test_arrows_of_a_table_point_down(place):
    """So there is no circle either."""
    order = list(_table(place))
    up = [
        f"{box} -> {to}" for box, below in _table(place).items() for to in below if order.index(to) <= order.index(box)
    ]
    assert not up, "\n".join(up)


@pytest.mark.parametrize("place", ARROWS)
def test_imports_inside_a_room_are_those_of_its_table(place):
    _, arrows = boxes_and_arrows(SOURCES, place)
    table = _table(place)
    wrong = [
        f"{lines[0]}: {box} imports {to}, which the table does not say"
        for box, targets in arrows.items()
        for to, lines in targets.items()
        if to not in table[box]
    ]
    unused = [
        f"{box} -> {to} is used no more"
        for box, below in table.items()
        for to in below
        if to not in arrows.get(box, {})
    ]
    assert not wrong + unused, "\n".join(wrong + unused)


def test_every_room_with_folders_has_a_table():
    rooms = {module.room for module in SOURCES if module.folder != module.room}
    assert rooms - {"simulator", "words", "demo"} <= set(ARROWS)


def test_nothing_private_is_imported_from_another_folder():
    assert not private_imports(SOURCES)


def _is_pure(module: Module) -> bool:
    return module.room in PURE_ROOMS or re.search(r"\bPure\b", module.docstring) is not None


@pytest.mark.parametrize("module", [*filter(_is_pure, SOURCES)], ids=lambda module: module.path)
def test_a_pure_module_knows_no_clock_file_or_network(module):
    wrong = [
        f"{module.path}:{item.line} imports {item.dotted}"
        for item in module.imports
        if item.module.split(".")[0] in FORBIDDEN_MODULES
    ]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in FORBIDDEN_CALLS or any(called.endswith("." + name) for name in FORBIDDEN_CALLS if "." in name):
                wrong.append(f"{module.path}:{node.lineno} calls {called}")
    assert not wrong, "\n".join(wrong)


def test_classes_and_files_stay_small():
    large = {
        f"{item.path}:{item.name}": f"{item.lines} lines, {item.methods} methods"
        for module in SOURCES
        for item in module.classes
        if item.lines > MOST_LINES_OF_A_CLASS or item.methods > MOST_METHODS
    } | {
        module.path: f"{lines} lines"
        for module in SOURCES
        if (lines := len(module.text.splitlines())) > MOST_LINES_OF_A_FILE
    }
    assert {name: size for name, size in large.items() if name not in LARGER} == {}
    assert set(LARGER) <= set(large), "an exception that is needed no more leaves the list"
    assert len(LARGER) <= 5


def test_a_class_name_stands_for_one_thing():
    places = defaultdict(list)
    for module in SOURCES:
        for item in module.classes:
            if not item.name.startswith("_"):
                places[item.name].append(module.path)
    twice = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert {name: paths for name, paths in twice.items() if name not in SAME_NAME} == {}
    assert set(SAME_NAME) <= set(twice), "an exception that is needed no more leaves the list"
    assert len(SAME_NAME) <= 10


def test_no_store_imports_another():
    kinds = {path.parent.name for path in (ROOT / "center" / "stores").glob("*/store.py")}
    wrong = [
        f"{module.path}:{item.line} imports {item.dotted}"
        for module in SOURCES
        if module.folder.startswith("center/stores/")
        for item in module.imports
        for kind in kinds - {module.path.split("/")[2]}
        if item.dotted.startswith(f"center.stores.{kind}.")
    ]
    assert not wrong, "\n".join(wrong)


def test_no_concrete_device_kind_is_named_outside_its_folder():
    kinds = sorted(path.parent.name for path in (ROOT / "adapters").glob("*/kind.py"))
    assert kinds
    named = re.compile("|".join(rf"(?<![\w-]){kind}(?![\w-])" for kind in kinds))
    front = [Module(name, (ROOT / name).read_text(encoding="utf-8")) for name in ("nhip.py",)]
    wrong = [
        f"{module.path}:{number}: {line.strip()}"
        for module in (*SOURCES, *front)
        if module.room not in {"adapters", "simulator", "demo"}
        for number, line in enumerate(module.text.splitlines(), 1)
        if named.search(line)
    ]
    assert not wrong, "\n".join(wrong)


# what a browser is given


def _is_inside(node: ast.expr) -> bool:
    """Whether an address is one of the center's own, as it is inside."""
    first = node.values[0] if isinstance(node, ast.JoinedStr) and node.values else node
    first = first.value if isinstance(first, ast.FormattedValue) else first
    if isinstance(first, ast.Name | ast.Attribute):
        return ast.unparse(first).rpartition(".")[2].isupper()
    return isinstance(first, ast.Constant) and str(first.value).startswith("/")


def test_every_address_that_a_page_is_given_is_one_from_outside():
    """The center may be shown under a path: `outside` of center/api/outside.py puts it in front. That it is in front on every
    page is looked at by tests/center/test_proxies.py; this names the line.
    """
    wrong, seen = [], 0
    for module in SOURCES:
        for call in ast.walk(module.tree) if module.room == "center" else ():
            if isinstance(call, ast.Call):
                named = [item.value for item in call.keywords if item.arg in ("href", "action", "src")]
                given = [*named, *(call.args[:1] if ast.unparse(call.func) in ("form", "RedirectResponse") else ())]
                seen += len(given)
                wrong += [f"{module.path}:{call.lineno}: write outside(…)" for node in given if _is_inside(node)]
    assert seen > 30
    assert not wrong, "\n".join(wrong)


def test_no_root_path_can_be_mistaken_for_a_page():
    """The first segment of every path is in `config.yaml.outside.TAKEN`, which root paths may not begin with."""
    rooms = ("center/console", "center/api", "center/outgoing")
    nodes = [node for module in SOURCES if module.folder.startswith(rooms) for node in ast.walk(module.tree)]
    later = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values[1:]}
    texts = [str(node.value) for node in nodes if isinstance(node, ast.Constant) and id(node) not in later]
    found = {match[1] for text in texts if (match := re.match(r"/([a-z_][\w.-]*)(?:[/?]|$)", text))}
    assert len(found) > 9
    assert found - {"proc"} <= TAKEN


# what a process loads


@pytest.mark.parametrize(
    ("command", "absent"),
    [
        (
            "import agent.run, adapters.modbus.unit",
            ["asyncua", "duckdb", "fastapi", "nicegui", "scipy", "simulator", "center", "starlette", "uvicorn"],
        ),
        (
            "import oee.advice.statistics.failures, oee.advice.statistics.ranks, oee.advice.statistics.ratios",
            ["scipy.stats", "scipy.optimize", "pandas"],
        ),
        ("import nhip", ["numpy", "asyncua", "duckdb", "fastapi", "nicegui", "pymodbus", "paho"]),
        ("import cli.options, cli.terminal, cli.files", ["numpy", "pydantic", "rich", "ruamel", "yaml"]),
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
