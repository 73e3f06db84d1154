"""Disks that are not what they were: a center restored from an older copy or lost, a new gateway, a copied card."""

import json
import shutil

import pytest
from fault_books import expected as books_of
from fault_books import read_file
from fault_history import FILES, site_file, write_files
from fault_link import Link
from fault_stage import Stage, eventually, free_port
from test_kills import agrees
from test_stick import nhip

from agent.feed.history_files import day_path


def arrived(stage, files):
    stage.feed(files)
    eventually(lambda: stage.computed() >= files and stage.delivered(), what=f"{files} files")


def restore(stage, copy):
    """The center's file becomes what it was, and nothing else of it is left."""
    for path in stage.folder.glob("center.duckdb*"):
        path.unlink()
    if copy:
        shutil.copy(copy, stage.store)


def test_center_restored_from_an_older_copy(tmp_path, expected):
    with Stage(tmp_path) as stage:
        arrived(stage, 5)
        stage.center.stop()
        copy = shutil.copy(stage.store, tmp_path / "copy")
        stage.center.start()
        arrived(stage, 12)
        generation = stage.api("delivery")["generation"]
        stage.center.kill()
        restore(stage, copy)
        # what is new arrives first, and hides that something older is missing
        stage.feed(18)
        stage.wait_agent(18)
        stage.center.start()
        books = stage.finish()
        agrees(books, expected)
        assert stage.last_rows
        stage.center.start()
        stage.wait_center()
        assert stage.api("delivery")["generation"] != generation


def test_center_restored_from_a_backup_that_was_taken_while_it_ran(tmp_path, expected):
    """`nhip backup`, then the disk is lost: gateways send what is newer than the copy, and nothing counts twice."""
    with Stage(tmp_path) as stage:
        arrived(stage, 6)
        stage.feed(10)  # on its way while the copy is made
        told = json.loads(nhip("backup", tmp_path / "center.yaml", tmp_path / "saved", "--json"))
        (copy,) = [item["file"] for item in told["files"] if item["file"].endswith(stage.store.name)]
        arrived(stage, 14)
        stage.center.kill()
        restore(stage, copy)
        stage.center.start()
        agrees(stage.finish(), expected)


@pytest.mark.slow
def test_center_lost(tmp_path, expected):
    """A new center with an empty disk gets everything again that is still on the gateways'."""
    with Stage(tmp_path) as stage:
        arrived(stage, 8)
        stage.center.kill()
        restore(stage, None)
        stage.center.start()
        agrees(stage.finish(), expected)


@pytest.mark.slow
def test_center_restored_while_a_gateway_was_away(tmp_path, expected):
    """The gateway hears of the new generation only when it comes back."""
    with Stage(tmp_path) as stage:
        arrived(stage, 5)
        stage.center.stop()
        copy = shutil.copy(stage.store, tmp_path / "copy")
        stage.center.start()
        arrived(stage, 12)
        stage.agent.kill()
        for process in (stage.center, stage.broker):
            process.kill()
        restore(stage, copy)
        stage.start_broker()
        stage.center.start()
        stage.wait_center()
        stage.feed(16)
        stage.agent.start()
        agrees(stage.finish(), expected)


def test_new_gateway_in_place_of_a_broken_one(tmp_path):
    """It knows nothing of the old one's numbers, and none of its own can be taken for one of them."""
    with Stage(tmp_path) as stage:
        arrived(stage, 10)
        stage.agent.kill()
        folder = tmp_path / "new"
        files = write_files(folder / "history", 10, FILES)
        stage.outbox = folder / "outbox.db"
        stage.agent = stage.agent_of("agent-2", site_file(folder, stage.port), stage.outbox, history=files)
        stage.agent.start()
        eventually(lambda: stage.computed() == FILES - 10 and stage.delivered(), what="the new gateway")
        stage.agent.stop()
        stage.center.stop()
        assert len(stage.sealed()) == 2
        agrees(read_file(stage.store), books_of(tmp_path / "new", (0, 10), (10, FILES)))


def test_copied_card(tmp_path):
    """A card copied at file 6, put to use when the original had gone on to file 14: its numbers are used up."""
    with Stage(tmp_path) as stage:
        arrived(stage, 6)
        stage.agent.stop()
        folder = tmp_path / "copy"
        folder.mkdir()
        shutil.copy(stage.outbox, folder / "outbox.db")
        stage.agent.start()
        arrived(stage, 14)
        stage.agent.stop()
        old = stage.sealed()
        (folder / "history").mkdir()
        stage.outbox = folder / "outbox.db"
        stage.agent = stage.agent_of("agent-2", site_file(folder, stage.port), stage.outbox, history=folder / "history")
        stage.agent.start()
        eventually(lambda: "old copy" in stage.agent.last_words(), what="the copy to notice")
        write_files(folder / "history", 14, FILES)
        eventually(lambda: stage.computed() == FILES - 14 and stage.delivered(), what="the copy's facts")
        stage.agent.stop()
        stage.center.stop()
        assert not set(stage.sealed()) & set(old)
        agrees(read_file(stage.store), books_of(folder, (0, 14), (14, FILES)))


def test_copied_card_that_ran_without_a_line(tmp_path):
    """Copied at file 6; the original went on to file 10, the copy alone to 18: its numbers say nothing, content does."""
    port = free_port()
    with Link(port) as link, Stage(tmp_path, port=port) as stage:
        arrived(stage, 6)
        stage.agent.stop()
        folder = tmp_path / "copy"
        folder.mkdir()
        shutil.copy(stage.outbox, folder / "outbox.db")
        stage.agent.start()
        arrived(stage, 10)
        stage.agent.stop()
        old = stage.sealed()
        link.set("cut")
        history = write_files(folder / "history", 6, 18)
        stage.outbox = folder / "outbox.db"
        stage.agent = stage.agent_of("agent-2", site_file(folder, link.port), stage.outbox, history=history)
        stage.agent.start()
        eventually(lambda: stage.computed() == 12, what="the copy alone")
        stream = max(sealed := stage.sealed(), key=sealed.__getitem__)  # of facts
        assert stage.sealed()[stream] > old[stream]
        link.set("pass")
        eventually(lambda: "old copy" in stage.agent.last_words(), what="the copy to notice")
        rest = write_files(tmp_path / "rest", 18, FILES)
        for number in range(FILES - 18):
            day_path(rest, number).rename(day_path(history, 12 + number))
        eventually(lambda: stage.computed() == FILES - 6 and stage.delivered(), what="the copy's facts")
        stage.agent.stop()
        rows = stage.rows()
        stage.center.stop()
        assert rows[stream]["mark"] == old[stream]  # nothing of the copy's was taken for the original's
        assert rows[stream]["conflicts"] == 0
        agrees(read_file(stage.store), books_of(folder, (0, 10), (18, FILES)))


def test_copied_card_at_a_broker_that_forgot_the_receipt(tmp_path):
    """It sends before it hears: what contradicts the original is kept in quarantine and tells it what it is."""
    with Stage(tmp_path) as stage:
        arrived(stage, 6)
        stage.agent.stop()
        folder = tmp_path / "copy"
        folder.mkdir()
        shutil.copy(stage.outbox, folder / "outbox.db")
        stage.agent.start()
        arrived(stage, 10)
        stage.agent.stop()
        stage.broker.kill()
        stage.center.kill()
        stage.start_broker()
        # seconds of its own after the copy: other content under the same numbers
        history = write_files(folder / "history", 7, 18)
        stage.outbox = folder / "outbox.db"
        stage.agent = stage.agent_of("agent-2", site_file(folder, stage.port), stage.outbox, history=history)
        stage.agent.start()
        eventually(lambda: stage.computed() == 11, what="the copy alone")
        stage.center.start()
        eventually(lambda: "old copy" in stage.agent.last_words(), what="the copy to notice")
        stage.wait_center()
        conflicts = sum(row["conflicts"] for row in stage.rows().values())
        assert (stage.api("quarantine")["count"] > 0) == (conflicts > 0)  # none, if it heard before it sent


def test_a_spare_with_the_same_bundle_while_the_old_box_runs(tmp_path):
    """Both are noticed before the spare has a fact; what it sends waits, and counts once somebody says that it is right."""
    with Stage(tmp_path) as stage:
        arrived(stage, 8)
        folder = tmp_path / "spare"
        (folder / "history").mkdir(parents=True)
        spare = stage.agent_of("spare", site_file(folder, stage.port), folder / "outbox.db", history=folder / "history")
        spare.start()
        try:
            eventually(lambda: stage.api("gateways")[0]["boxes"] == 2, what="the center to notice")
            eventually(lambda: "taken over" in spare.last_words() + stage.agent.last_words(), what="a box to say so")
            stage.agent.kill()
            write_files(folder / "history", 8, FILES)
            outbox = folder / "outbox.db"
            eventually(lambda: stage.computed(outbox) == FILES - 8 and stage.delivered(outbox), what="the spare")
            [held] = [row["held"] for row in stage.api("gateways")]
            assert held["envelopes"] > 0
            decided = json.loads(nhip("quarantine", "accept", tmp_path / "center.yaml", "test/main", "--json"))
            assert (decided["envelopes"], decided["kept"]) == (held["envelopes"], 0)
        finally:
            spare.kill()
        stage.center.stop()
        agrees(read_file(stage.store), books_of(folder, (0, 8), (8, FILES)))
