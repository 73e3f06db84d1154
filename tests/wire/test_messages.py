"""`live` and `status` as they travel."""

import zlib

import pytest
from pydantic import ValidationError

from wire.bodies import Live, LiveMachine, Status
from wire.envelope import Unsound, pack_message, unpack_message
from wire.receipts import decode_receipt

MACHINES = {f"press-{number}": LiveMachine(state="running", since_ns=10**18, product="1") for number in range(20)}


def test_small_ones_are_plain_and_large_ones_compressed():
    small, large = Status(online=False, at_ns=1), Live(at_ns=1, machines=MACHINES)
    assert pack_message(small).startswith(b"{")
    packed = pack_message(large)
    assert len(packed) < len(large.model_dump_json()) / 4
    for body in (small, large):
        assert type(body).model_validate_json(unpack_message(pack_message(body))) == body


@pytest.mark.parametrize("t_ns", [-1, 2**63, 10**30])
def test_a_time_that_no_page_could_show_is_refused(t_ns):
    """One gateway's nonsense must not break the pages on which it stands beside others."""
    for body in (
        {"online": True, "at_ns": t_ns},
        {"online": True, "at_ns": 1, "oldest_ns": t_ns},
        {"online": True, "at_ns": 1, "clock": {"by": "ntp", "held_since_ns": t_ns}},
    ):
        with pytest.raises(ValidationError):
            Status.model_validate(body)
    for body in (
        {"at_ns": t_ns, "machines": {}},
        {"at_ns": 1, "machines": {"press-1": {"state": "running", "since_ns": t_ns}}},
    ):
        with pytest.raises(ValidationError):
            Live.model_validate(body)


@pytest.mark.parametrize(
    "payload", [b"", b"noise", zlib.compress(b"{}")[:-5], zlib.compress(bytes(5_000_000)), b"{" + b" " * 600_000]
)
def test_what_is_neither_is_refused(payload):
    with pytest.raises((Unsound, ValueError)):
        Live.model_validate_json(unpack_message(payload))


@pytest.mark.parametrize(("at_ns", "mark"), [(10**30, 1), (-1, 1), (1, 10**20), (1, -1)])
def test_a_receipt_that_no_gateway_could_keep_is_none(at_ns, mark):
    """It would be offered to the disk again and again."""
    receipt = '{"generation": "g", "at_ns": %d, "streams": {"s": {"kind": "facts", "mark": %d}}}'
    with pytest.raises(ValidationError):
        decode_receipt((receipt % (at_ns, mark)).encode())
    assert decode_receipt((receipt % (1, 1)).encode()).streams["s"].mark == 1


@pytest.mark.parametrize(
    "more",
    [
        {"waiting": 10**400},
        {"waiting": 2**53},
        {"waiting": -1},
        {"clock": {"by": "ntp", "error_s": 1e308}},
        {"clock": {"by": "ntp", "moves": 10**30}},
        {"clock": {"by": "ntp", "last_move_s": float("inf")}},
        {"health": {"polls": 1e300}},
        {"health": {"polls": float("nan")}},
        {"marks": {"s": 2**63}},
        {"counters": [{"machine": "m", "role": "total", "at_ns": 1, "kind": "reset", "old": 10**30, "new": 1}]},
    ],
    ids=lambda more: str(more)[:40],
)
def test_a_number_that_no_gateway_can_mean_is_refused(more):
    """It would break the pages of everybody who sees that gateway."""
    with pytest.raises(ValidationError):
        Status.model_validate({"online": True, "at_ns": 1} | more)
    with pytest.raises(ValidationError):
        Live.model_validate({"at_ns": 1, "machines": {"m": {"state": "running", "since_ns": 1, "pieces": 10**400}}})


def test_what_is_only_shown_is_cut_and_not_refused():
    """A fault's long text is no reason to take a gateway for silent."""
    status = Status.model_validate(
        {
            "online": True,
            "at_ns": 1,
            "trouble": "x" * 10**6,
            "devices": {f"plc-{number}": True for number in range(10**5)},
            "faults": [{"device": "plc", "code": "refused", "values": {"detail": "y" * 10**6}}] * 1000,
        }
    )
    assert len(status.trouble) == 2_000
    assert len(status.devices) == 500
    assert len(status.faults) == 50
    assert len(status.faults[0].values["detail"]) == 2_000
    machine = {"state": "running", "since_ns": 1}
    live = Live.model_validate({"at_ns": 1, "machines": {f"m-{number}": machine for number in range(10**4)}})
    assert len(live.machines) == 2_000
