"""No broker for as long as the records last, and payloads that nobody can read among good ones."""

import json

import paho.mqtt.client as paho
import pytest
from fault_history import FILES
from fault_stage import Stage, amqtt, eventually, mosquitto, persistent_mosquitto
from paho.mqtt.enums import CallbackAPIVersion
from test_kills import agrees

from wire.envelope import seal
from wire.topics import topic

POISON = [
    b"",
    b"noise",
    b"\x00" * 200_000,
    seal("ab" * 8, 1, 1, {"facts": {"machine": ["press"], "minute": [1], "n": [0]}}).data,
    seal("ab" * 8, 2, 1, {"facts": "no table"}).data,
    seal("ab" * 8, 3, 1, ["not", "even", "a", "body"]).data,
    seal("ab" * 8, 4, 1, {"stops": [{"machine": "press", "id": "x", "start_ns": 2**70, "state": "running"}]}).data,
    seal("ab" * 8, 5, 1, json.loads('{"dropped": [[1, 99999999999999999999]], "why": "x"}')).data,
]


@pytest.mark.parametrize(
    "make_broker", [persistent_mosquitto, *(pytest.param(make, marks=pytest.mark.slow) for make in (mosquitto, amqtt))]
)
def test_broker_away_until_all_is_worked_out(tmp_path, expected, make_broker):
    with Stage(tmp_path, make_broker=make_broker) as stage:
        stage.broker.kill()
        stage.feed()
        stage.wait_agent(FILES)
        stage.agent.kill()  # what it worked out is on disk, and nowhere else
        stage.start_broker()
        stage.agent.start()
        agrees(stage.finish(), expected)


def test_poison_among_good_payloads(tmp_path, expected):
    with Stage(tmp_path) as stage:
        stage.wait_center()
        poisoner = paho.Client(CallbackAPIVersion.VERSION2)
        poisoner.connect("127.0.0.1", stage.port)
        poisoner.loop_start()
        for number, payload in enumerate(POISON * 2):
            stage.feed(min(FILES, stage.fed + 1))
            kind = "site" if number % 5 == 4 else "facts"
            poisoner.publish(topic("test", "main", kind), payload, 1).wait_for_publish(10)
        poisoner.disconnect()
        poisoner.loop_stop()
        eventually(lambda: (stage.api("quarantine") or {"count": 0})["count"] > 4, what="the quarantine")
        books = stage.finish()
    assert books.same_numbers(expected)
    assert (books.repeated, books.overfull) == (0, 0)
    assert all(row.reason for row in books.quarantine)
    assert {row.topic for row in books.quarantine} <= {topic("test", "main", kind) for kind in ("facts", "site")}
