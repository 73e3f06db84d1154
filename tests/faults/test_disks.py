"""Disks that refuse at the agent and at the center: time is lost, never a fact."""

import pytest
from fault_disk import limit_files, small_disk
from fault_stage import Stage, eventually
from test_kills import agrees


def arrived(stage, files):
    stage.feed(files)
    eventually(lambda: stage.computed() >= files and stage.delivered(), what=f"{files} files")


@pytest.mark.parametrize("killed", [False, True], ids=["lives on", "killed meanwhile"])
def test_store_refuses_for_a_while(tmp_path, expected, killed):
    with Stage(tmp_path) as stage:
        arrived(stage, 4)
        limit_files(stage.center, 1024)
        stage.feed(12)
        stage.wait_agent(12)
        eventually(lambda: stage.counted("store_away"), what="the store's refusal")
        assert stage.api("health")["status"] == "degraded"
        assert not stage.delivered()
        if killed:
            stage.center.kill()
            stage.center.start()
        else:
            limit_files(stage.center)
        agrees(stage.finish(), expected)


def test_full_disk_at_the_center(tmp_path, expected):
    with small_disk(tmp_path, 24) as disk, Stage(tmp_path, disk=disk, disk_of="center") as stage:
        arrived(stage, 4)
        disk.fill()
        stage.feed(16)
        stage.wait_agent(16)
        eventually(lambda: stage.counted("store_away"), what="the store's refusal")
        assert not stage.delivered()
        disk.free()
        agrees(stage.finish(), expected)


def test_full_disk_at_the_agent(tmp_path, expected):
    """The recorded files wait while nothing can be stored; a receipt cannot help, since somebody else fills the disk."""
    with small_disk(tmp_path, 24) as disk, Stage(tmp_path, disk=disk, disk_of="agent") as stage:
        arrived(stage, 4)
        disk.fill()
        (disk.seen / "outbox.db.reserve").unlink(missing_ok=True)
        disk.fill()
        stage.feed(16)
        eventually(lambda: "outbox cannot store" in stage.agent.last_words(), what="the outbox's complaint")
        stage.agent.kill()
        stage.agent.start()
        disk.free()
        agrees(stage.finish(), expected)


def test_agent_may_write_no_file_larger(tmp_path, expected):
    with Stage(tmp_path) as stage:
        arrived(stage, 2)
        limit_files(stage.agent, 4096)
        stage.feed(8)
        eventually(lambda: "outbox cannot store" in stage.agent.last_words(), what="the outbox's complaint")
        limit_files(stage.agent)
        agrees(stage.finish(), expected)
