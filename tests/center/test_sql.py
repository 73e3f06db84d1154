"""The SQL database on both engines: steps run once, failures leave nothing, and its absence is said in words."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from center_plant import free_port
from postgres_plant import KINDS, Postgres, database_url, postgres
from sqlalchemy import text

from center.contract.store import StoreUnavailable
from center.database.sql import open_database, prepare, reading, writing
from center.model.complaints import NotReady
from config import Misconfigured, parse_center


@pytest.fixture(params=KINDS)
def url(request, tmp_path):
    return database_url(request.param, tmp_path)


def _first(connection):
    connection.execute(text("CREATE TABLE things (name VARCHAR(40) PRIMARY KEY)"))


def _second(connection):
    connection.execute(text("INSERT INTO things VALUES ('Máy dập')"))


def _broken(connection):
    connection.execute(text("INSERT INTO things VALUES ('half')"))
    raise RuntimeError("the step failed")


def names(engine):
    with reading(engine) as connection:
        return [row.name for row in connection.execute(text("SELECT name FROM things ORDER BY name"))]


def test_each_step_runs_once_and_a_failed_one_leaves_nothing(url):
    engine = open_database(url)
    prepare(engine, "things", (_first,))
    prepare(engine, "things", (_first, _second))
    prepare(engine, "things", (_first, _second))
    with pytest.raises(RuntimeError):
        prepare(engine, "things", (_first, _second, _broken))
    assert names(engine) == ["Máy dập"]
    prepare(engine, "others", ())
    with pytest.raises(Misconfigured) as caught:
        prepare(engine, "things", (_first,))
    assert caught.value.complaints[0].code == "database_version"


def test_two_that_start_together_wait_for_each_other(url):
    engines = [open_database(url) for _ in range(4)]
    gate = threading.Barrier(len(engines))

    def start(engine):
        gate.wait()
        prepare(engine, "things", (_first, _second))

    with ThreadPoolExecutor(len(engines)) as pool:
        list(pool.map(start, engines))
    assert names(engines[0]) == ["Máy dập"]


def test_a_transaction_is_all_or_nothing(url):
    engine = open_database(url)
    prepare(engine, "things", (_first,))
    with pytest.raises(RuntimeError), writing(engine) as connection:
        _broken(connection)
    assert names(engine) == []
    with writing(engine) as connection:
        _second(connection)
    assert names(open_database(url)) == ["Máy dập"]


def test_a_server_that_is_away_is_the_store_away_and_comes_back():
    server = Postgres()
    server.start()
    try:
        engine = open_database(server.database())
        prepare(engine, "things", (_first, _second))
        server.kill()
        with pytest.raises(StoreUnavailable, match="does not answer"):
            names(engine)
        with pytest.raises(StoreUnavailable), writing(engine) as connection:
            _second(connection)
        server.start()
        assert names(engine) == ["Máy dập"]
    finally:
        server.remove()


@pytest.mark.parametrize(
    ("url", "passes"),
    [
        ("sqlite:////no/such/folder/a.sqlite", False),
        ("sqlite:////proc/self/a.sqlite", False),
        ("postgresql://nhip@127.0.0.1:{port}/n", True),
        ("postgresql://nhip@no-such-host.invalid/n", True),
        ("postgresql://nhip@127.0.0.1:{server}/no_such_database", False),
        ("postgresql://nobody@127.0.0.1:{server}/postgres", False),
    ],
)
def test_what_cannot_be_opened_is_said(url, passes):
    """And whether a start may wait for it, or somebody has to change a file first."""
    with pytest.raises(Misconfigured) as caught:
        open_database(url.format(port=free_port(), server=postgres().port if "{server}" in url else 0))
    (item,) = caught.value.complaints
    assert (item.key, item.code) == ("database", "database_cannot_open")
    assert isinstance(caught.value, NotReady) is passes, str(caught.value)


def test_a_damaged_file_is_not_waited_for(tmp_path):
    (tmp_path / "a.sqlite").write_text("no database " * 1000)
    with pytest.raises(Misconfigured) as caught:
        open_database(f"sqlite:///{tmp_path}/a.sqlite")
    assert not isinstance(caught.value, NotReady)


def test_a_password_is_never_shown():
    with pytest.raises(Misconfigured) as caught:
        open_database(f"postgresql://nhip:secret@127.0.0.1:{free_port()}/n")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("store: {kind: duckdb, file: /var/lib/nhip/nhip.duckdb}", "sqlite:////var/lib/nhip/nhip.accounts.sqlite"),
        ("store: {kind: influxdb, books: b.duckdb}", "sqlite:///b.accounts.sqlite"),
        ("store: {kind: duckdb}", "sqlite:///nhip.accounts.sqlite"),
        ("store: {kind: duckdb}\ndatabase: postgresql://nhip@db/nhip", "postgresql://nhip@db/nhip"),
    ],
)
def test_where_it_lies_without_a_word(lines, found):
    assert parse_center(f"broker: mqtt://127.0.0.1\n{lines}\n").database_url == found
