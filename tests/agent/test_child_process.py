"""Work done by a child: its result comes back, its errors are raised as they are, and its memory goes with it."""

import os

import pytest

from agent.process.child import run_in_child
from config import Misconfigured, load_site


def test_the_result_comes_back_from_another_process():
    assert run_in_child(os.getpid) != os.getpid()
    assert run_in_child(lambda: {"a": [1, "ô", None]}) == {"a": [1, "ô", None]}


def test_a_site_survives_the_way(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text(
        "site: s\ntimezone: Asia/Ho_Chi_Minh\ndevices:\n  d: {kind: modbus_tcp, host: 192.0.2.1, tags: {a: {coil: 0}}}\n"
    )
    assert run_in_child(lambda: load_site(path)) == load_site(path)


def test_errors_are_those_of_the_work_itself(tmp_path):
    with pytest.raises(Misconfigured) as caught:
        run_in_child(lambda: load_site(tmp_path / "absent.yaml"))
    assert caught.value.complaints


def test_what_cannot_be_sent_is_done_here():
    assert run_in_child(lambda: lambda: 5)() == 5
