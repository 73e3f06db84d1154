"""Messages forgotten, repeated, reordered, damaged and replayed on the way: every deed shows, no sum changes."""

import pytest
from fault_link import Link
from fault_stage import Stage, amqtt, eventually, free_port, mosquitto
from fault_tamper import Tamper


@pytest.mark.parametrize(("make_broker", "seed"), [(mosquitto, 1), (amqtt, 2)], ids=["mosquitto", "amqtt"])
def test_someone_on_the_line(tmp_path, expected, make_broker, seed):
    port = free_port()
    with Link(port) as link, Stage(tmp_path, make_broker=make_broker, port=port, agent_port=link.port) as stage:
        link.tamper = Tamper(seed)
        for files in range(1, 25):
            stage.feed(files)
            stage.wait_agent(files)
            if files == 12:
                eventually(lambda: len(link.tamper.receipts) > 1, what="receipts to tamper with")
        eventually(stage.delivered, what="delivery")
        eventually(lambda: _duplicates(stage.rows()) >= link.tamper.deeds["repeated"], what="what was repeated")
        books = stage.finish()
        assert books.same_numbers(expected)
        assert (books.repeated, books.overfull) == (0, 0)
        assert {"forgot", "repeated", "damaged", "held back", "replayed", "old receipt"} <= set(link.tamper.deeds)
        assert _duplicates(stage.last_rows) >= link.tamper.deeds["repeated"]
        assert sum(row["conflicts"] for row in stage.last_rows.values()) == 0
        assert 0 < len(books.quarantine) <= link.tamper.deeds["damaged"]
        assert not any(row.settled for row in books.quarantine)


def _duplicates(rows):
    return sum(row["duplicates"] for row in rows.values())
