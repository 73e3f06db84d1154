"""Two processes of one center side by side: what one of them settled the other judges rightly."""

import pytest
from center_plant import Gateway, envelope, eventually, mosquitto, ns, running
from postgres_plant import KINDS, database_url

from center.contract.store import Query, StoreUnavailable
from center.database.sql import open_database
from center.ingest.mqtt import Arrived, BrokerSettings, subscriptions_of
from center.ingest.planning.plan import EnvelopeMessage
from center.ingest.worker import Ingest
from center.ledger.sql import SqlLedger
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store
from oee.model.facts import MINUTE_NS
from wire.bodies import Status
from wire.topics import Topic, topic

T = ns("2026-03-02T08:00:00")
WHERE = Topic("van-long", "main", "facts")


class Rows:
    """A store that keeps no books, as a server is one."""

    def __init__(self, file):
        self._store = open_store({"file": str(file)})
        self.write, self.facts, self.losses = self._store.write, self._store.facts, self._store.losses
        self.stops, self.close = self._store.stops, self._store.close


@pytest.fixture
def rows(tmp_path):
    store = Rows(tmp_path / "rows.duckdb")
    yield store
    store.close()


@pytest.fixture(params=KINDS)
def process(request, tmp_path, rows):
    url, opened = database_url(request.param, tmp_path), []

    def one(role="ingest", port=9):
        opened.append(SqlLedger(open_database(url)))
        center = center_state(rows, opened[-1])
        patient = role == "console"
        return center, Ingest(
            center,
            BrokerSettings("127.0.0.1", port),
            subscriptions_of(role, lambda _reason: None, opened[-1].processes.secret()),
            patient=patient,
        )

    yield one
    for books in opened:
        books.close()


def _facts(seq, minute):
    return EnvelopeMessage(WHERE, envelope(seq, running(T + minute * MINUTE_NS, 1)))


def test_a_conflict_is_one_whoever_settled_the_first(process, rows):
    """A cloned card: its envelope has a number that another process settled. It must not pass for a repetition, since
    its gateway would believe to be rid of it.
    """
    _, one = process()
    center, other = process()
    one.deliver([_facts(1, 1), _facts(2, 2)])
    other._peers.catch_up(now=True)
    other.deliver([_facts(1, 1), _facts(2, 9)])
    (state,) = center.ledger_cache.streams.values()
    assert (state.stored, state.duplicates, state.conflicts) == (2, 1, 1)
    (entry,), _ = center.ledger.quarantined("", 10)
    assert entry.reason.startswith("conflict:")
    assert rows.facts(Query("van-long", 0, 2**62, by=())).column("pieces_good").tolist() == [20]
    assert next(iter(center.ledger_cache.disputed.values()))[0] == 2


def test_a_console_whose_database_was_away_is_well_again(process, monkeypatch):
    """It commits nothing itself that could say so."""
    monkeypatch.setattr("center.ingest.retry.BACK_OFF_S", (0.02, 0.1))
    center, console = process("console")
    news, refusals = center.ledger.changes_since, [1, 2, 3]

    def away(since_ns):
        if refusals:
            raise StoreUnavailable(f"still away, {refusals.pop()}")
        return news(since_ns)

    center.ledger.changes_since = away
    console._worker.start()
    eventually(lambda: not refusals)
    eventually(lambda: center.health.condition("store") == "ok")
    console.stop()


def test_a_stumble_over_one_gateway_s_status_hides_no_other_s(process):
    center, ingest = process()
    heard = []

    def stumble(site, gateway, _status):
        if gateway == "bad":
            raise ZeroDivisionError
        heard.append(gateway)

    ingest.on_status = stumble
    status = Status(online=True, at_ns=1).model_dump_json().encode()
    for gateway in ("bad", "good"):
        ingest._received(Arrived(topic("van-long", gateway, "status"), status, -1, 0, 0))
    ingest._worker.start()
    eventually(lambda: heard)
    assert heard == ["good"]
    assert center.health.counts()["worker_errors"] > 0
    ingest.stop()


def test_a_console_hears_of_connections_and_gateways(process, tmp_path):
    """What people declare there is sent again by it, also if the connection was away when they did."""
    with mosquitto(tmp_path) as port:
        center, console = process("console", port)
        connected, heard = [], []
        console.on_everybody = lambda: connected.append(1)
        console.on_status = lambda *told: heard.append(told)
        console.start()
        eventually(lambda: connected)
        eventually(lambda: center.health.condition("broker") == "ok")
        gateway = Gateway(port)
        gateway.send(Status(online=True, at_ns=1, ask="?").model_dump_json(), kind="status")
        eventually(lambda: heard)
        assert heard[0][:2] == ("van-long", "main")
        assert not gateway.receipts  # it answers for no ledger
        gateway.close()
        console.stop()


def test_the_workers_share_a_group_whose_name_only_they_know(process):
    """Whoever knew it would get a share of all facts, and whatever its rules do not let it read would be lost."""
    groups = {process()[0].ledger.processes.secret() for _ in range(2)}
    assert len(groups) == 1
    (group,) = groups
    assert len(group) == 32
    filters = [name for name, _ in subscriptions_of("ingest", lambda _reason: None, group).filters()]
    assert sum(name.startswith(f"$share/{group}/") for name in filters) == 3


def test_workers_share_each_gateways_budget(process, request):
    """Two of them are not worth twice as many messages to it; one that ends leaves its share to the others."""
    (center, one), (beside, other) = process(), process()
    _, console = process("console")
    for which in (one, other, console, one):
        which._peers.catch_up(now=True)
    if request.node.callspec.params["process"] == "sqlite":
        assert center.ledger.processes.workers() == 1
        return

    def taken(budgets, now_s):
        return sum(budgets.admits("van-long", "main", 1, now_s) for _ in range(20_000))

    full = 5 * center.budgets.limits.messages
    assert [taken(which.budgets, 0.0) for which in (center, beside)] == [full // 2] * 2
    assert taken(center.budgets, 60.0) == center.budgets.limits.messages // 2
    beside.ledger.close()
    eventually(lambda: center.ledger.processes.workers() == 1)  # the server notices a moment later
    one._peers.catch_up(now=True)
    assert taken(center.budgets, 120.0) == center.budgets.limits.messages
