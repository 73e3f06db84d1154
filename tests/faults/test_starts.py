"""Starts on a disk that refuses, at the agent and at the center: what passes is waited for, and is told meanwhile."""

import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from fault_disk import small_disk
from fault_stage import ROOT, Stage, environment, eventually
from servers import PATIENCE_S, free_port
from test_kills import agrees

MEGABYTES = 24


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path, MEGABYTES) as made:
        yield made


def fill(disk):
    (disk.seen / "outbox.db.reserve").unlink(missing_ok=True)
    disk.fill()


REFUSALS = {
    "full": (fill, lambda disk: disk.free()),
    "read-only": (lambda disk: disk.read_only(), lambda disk: disk.read_only(False)),
}


def scraped(port, path="/metrics"):
    """What an address answers; "" while nobody does."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S) as answer:
            return answer.read().decode()
    except HTTPError as error:
        return error.read().decode()
    except OSError:
        return ""


def computed_some(stage, files=4):
    stage.feed(files)
    eventually(lambda: stage.computed() >= files and stage.delivered(), what=f"{files} files")


@pytest.mark.parametrize("before", [False, True], ids=["a new outbox", "an outbox"])
@pytest.mark.parametrize("kind", REFUSALS)
def test_an_agent_starts_when_its_disk_lets_it(tmp_path, expected, disk, kind, before):
    refuse, allow = REFUSALS[kind]
    metrics = free_port()
    with Stage(tmp_path, disk=disk, disk_of="agent", options={"metrics": f"127.0.0.1:{metrics}"}) as stage:
        if before:
            computed_some(stage)
        stage.agent.kill()
        refuse(disk)
        stage.feed(16)
        stage.agent.start()
        eventually(lambda: "agent waits for its disk" in stage.agent.last_words(), what="the agent's complaint")
        eventually(lambda: "nhip_agent_cannot_store 1.0" in scraped(metrics), what="the metrics")
        eventually(lambda: [row for row in stage.api("gateways") or [] if row["trouble"]], what="the center's word")
        assert stage.agent.runs
        allow(disk)
        agrees(stage.finish(), expected)


def test_an_agent_that_waits_for_its_disk_ends_when_it_is_told(tmp_path, disk):
    with Stage(tmp_path, disk=disk, disk_of="agent") as stage:
        stage.agent.kill()
        fill(disk)
        stage.agent.start()
        eventually(lambda: "agent waits for its disk" in stage.agent.last_words(), what="the agent's complaint")
        stage.agent.stop()


def test_a_full_disk_with_a_reserve_starts_and_sends_what_frees_it(tmp_path, expected, disk):
    """The receipts for what waits may be what makes room, so the agent has to come up without any."""
    with Stage(tmp_path, disk=disk, disk_of="agent") as stage:
        stage.broker.kill()
        stage.feed(8)
        stage.wait_agent(8)
        stage.agent.kill()
        disk.fill()
        assert (disk.seen / "outbox.db.reserve").exists()
        stage.start_broker()
        stage.agent.start()
        eventually(stage.delivered, what="what waited")
        disk.free()
        agrees(stage.finish(), expected)


@pytest.mark.parametrize("before", [False, True], ids=["a new store", "a store"])
@pytest.mark.parametrize("kind", REFUSALS)
def test_a_center_starts_when_its_disk_lets_it(tmp_path, expected, disk, kind, before):
    """What was written before can be read on a full disk, so such a center is up and only stores nothing."""
    refuse, allow = REFUSALS[kind]
    with Stage(tmp_path, disk=disk, disk_of="center") as stage:
        if before:
            computed_some(stage)
        stage.center.kill()
        if not before:
            for path in disk.seen.iterdir():
                path.unlink()
        refuse(disk)
        stage.feed(16)
        stage.center.start()
        if before and kind == "full":
            eventually(lambda: stage.counted("store_away"), what="the store's refusal")
        else:
            health = "/api/v1/health"
            eventually(lambda: '"status":"starting"' in scraped(stage.http_port, health), what="the health page")
            assert "nhip_center_starting 1.0" in scraped(stage.http_port)
            assert "refresh" in scraped(stage.http_port, "/any/page")
            assert "start: waiting: " in stage.center.last_words()
        assert stage.center.runs
        allow(disk)
        agrees(stage.finish(), expected)


def test_a_center_that_waits_for_its_disk_ends_when_it_is_told(tmp_path, disk):
    with Stage(tmp_path, disk=disk, disk_of="center") as stage:
        stage.center.kill()
        for path in disk.seen.iterdir():
            path.unlink()
        fill(disk)
        stage.center.start()
        eventually(lambda: "start: waiting: " in stage.center.last_words(), what="the center's complaint")
        stage.center.stop()


OPENING = """
import os, signal, sys
from center.accounts.schema import open_accounts
from center.database.declarations import open_declarations
from center.database.findings import open_findings
from center.database.notices import open_notices
openers = (open_accounts, open_declarations, open_notices, open_findings)
for line in sys.stdin:
    told = []
    for opener in openers:
        try:
            opener(sys.argv[1])
            told.append("open")
        except Exception as error:
            told.append(type(error).__name__)
    print(*told, flush=True)
    if line == "die\\n":
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_refused_opens_at_the_next_try_within_the_same_process(disk):
    """A connection from a time at which the disk was read-only, left open, made SQLite's later ones read-only or wait for it,
    until Python happened to free it."""

    def child():
        command = [*disk.prefix, sys.executable, "-c", OPENING, f"sqlite:///{disk.place}/center.accounts.sqlite"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        return subprocess.Popen(command, cwd=ROOT, env=environment(), **pipes)

    def tries(process, how="again"):
        process.stdin.write(f"{how}\n")
        return process.stdout.readline().split()

    with child() as first:
        assert tries(first, "die") == ["open"] * 4  # its write-ahead log stays behind
    disk.read_only()
    with child() as process:
        for _ in range(3):
            assert not {"open"} & {*tries(process)}
        disk.read_only(False)
        assert tries(process) == ["open"] * 4
        process.stdin.close()


@pytest.fixture(scope="session")
def failing_files(tmp_path_factory):
    """The library that lets writes fail."""
    library = tmp_path_factory.mktemp("failing") / "failing_files.so"
    source = Path(__file__).with_name("failing_files.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return library


@pytest.mark.parametrize(
    ("who", "what", "words"),
    [
        ("agent", "outbox.db", "agent waits for its disk"),
        ("center", "center.duckdb", "start: waiting: "),
        ("center", "center.accounts.sqlite", "start: waiting: "),
    ],
)
def test_a_medium_that_fails_at_the_start_is_waited_for(tmp_path, expected, failing_files, who, what, words):
    with Stage(tmp_path) as stage:
        computed_some(stage)
        process, now = getattr(stage, who), tmp_path / "failing"
        process.kill()
        now.touch()
        stage.feed(12)
        file = stage.outbox if who == "agent" else tmp_path / what
        for path in tmp_path.glob(f"{file.name}*"):  # what is new has to be written
            path.unlink()
        process.command = [
            "env",
            f"LD_PRELOAD={failing_files}",
            f"FAILING_FILES={file}",
            f"FAILING_NOW={now}",
            *process.command,
        ]
        process.start()
        eventually(lambda: words in process.last_words(), what="the complaint")
        assert process.runs
        now.unlink()
        if who == "agent":  # a new outbox begins, so the history counts twice: only that it comes up is asked
            stage.wait_agent(FILES_FED)
        else:
            agrees(stage.finish(), expected)
        assert process.runs or who == "center"


FILES_FED = 12
