"""The same product over brokers that nobody here wrote: plain, killed in the middle, away until all is worked out, and
with small limits. What the center holds is what an undisturbed run gives, and each broker's row of docs/compatibility.md.
"""

import pytest
from fault_history import FILES
from fault_stage import Process, Stage, eventually
from servers import aedes_command, hivemq_command, mochi_command, moquette_command
from test_kills import agrees

BROKERS = [
    mochi_command,
    aedes_command,
    *(pytest.param(command, marks=pytest.mark.peers) for command in (hivemq_command, moquette_command)),
]


def broker(command, **options):
    return lambda folder, port: Process("broker", folder, command(folder, port, **options))


@pytest.mark.parametrize("command", BROKERS, ids=["mochi", "aedes", "hivemq", "moquette"])
def test_plain_killed_and_away(tmp_path, expected, command):
    with Stage(tmp_path, make_broker=broker(command)) as stage:
        stage.feed(6)
        eventually(lambda: stage.computed() >= 6 and stage.delivered(), what="the first files")
        stage.feed(9)
        stage.broker.kill()
        stage.feed(12)
        stage.start_broker()
        eventually(lambda: stage.computed() >= 12 and stage.delivered(), what="what was on its way at the kill")
        stage.broker.kill()
        stage.feed()
        stage.wait_agent(FILES)
        stage.start_broker()
        agrees(stage.finish(), expected)


def test_small_limits(tmp_path, expected):
    """Envelopes of some kilobytes over a broker that takes one, and two unacknowledged messages at a time."""
    limits = {"packet_bytes": 680, "unacknowledged": 2}
    with Stage(tmp_path, make_broker=broker(mochi_command, **limits)) as stage:
        agrees(stage.finish(), expected)
        assert all(row["dropped"] == 0 for row in stage.last_rows.values())
        (facts,) = [row["mark"] for row in stage.last_rows.values() if row["kind"] == "facts"]
        assert facts > FILES + 6, "they were divided: one for each file otherwise"
