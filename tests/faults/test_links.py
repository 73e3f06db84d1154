"""Bad lines between gateway, broker and center: cut, forgotten by a router, slow, breaking in mid-message."""

import time

import pytest
from fault_link import Link
from fault_stage import Stage, eventually, free_port
from test_kills import agrees


@pytest.fixture
def lines(tmp_path):
    """A stage whose agent and center reach the broker through a line of their own each."""
    port = free_port()
    with (
        Link(port, seed=1) as of_agent,
        Link(port, seed=2) as of_center,
        Stage(tmp_path, port=port, agent_port=of_agent.port, center_port=of_center.port) as stage,
    ):
        stage.of_agent, stage.of_center = of_agent, of_center
        yield stage


def arrived(stage, files):
    stage.feed(files)
    eventually(lambda: stage.computed() >= files and stage.delivered(), what=f"{files} files")


def test_cut(lines, expected):
    arrived(lines, 3)
    for link, files in ((lines.of_agent, 9), (lines.of_center, 15)):
        link.set("cut")
        lines.feed(files)
        lines.wait_agent(files)  # the machines' numbers do not wait for a line
        assert not lines.delivered()
        link.set("pass")
    agrees(lines.finish(), expected)


def test_three_tenths_lost_and_two_seconds_away(lines, expected):
    """As through a satellite in the rain."""
    arrived(lines, 2)
    lines.of_agent.set("far")
    lines.of_center.set("far")
    lines.feed(16)
    lines.wait_agent(16)
    agrees(lines.finish(), expected)
    assert lines.of_agent.broken + lines.of_center.broken > 10


def test_slow(lines, expected):
    lines.of_agent.set("slow")
    lines.of_center.set("slow")
    agrees(lines.finish(), expected)


def test_breaking_in_the_middle_of_messages(lines, expected):
    arrived(lines, 2)
    lines.of_agent.set("lossy")
    lines.of_center.set("lossy")
    for files in range(4, 20, 2):
        lines.feed(files)
        lines.wait_agent(files)
        time.sleep(0.5)
    assert lines.of_agent.broken + lines.of_center.broken > 2
    lines.of_agent.set("pass")
    lines.of_center.set("pass")
    agrees(lines.finish(), expected)


@pytest.mark.slow
def test_forgotten_by_a_router(lines, expected):
    """The connections stay open and carry nothing: only the keep-alive finds out, within a minute and a half."""
    arrived(lines, 3)
    lines.of_agent.set("dead")
    lines.of_center.set("dead")
    lines.of_agent.set("pass")
    lines.of_center.set("pass")
    lines.feed(12)
    lines.wait_agent(12)
    assert not lines.delivered()
    agrees(lines.finish(), expected)
