"""Gateways and center of different versions: what one adds stops nothing at the other, and nothing is guessed."""

import json
from datetime import date

import pytest
from pydantic import ValidationError

from wire.bodies import Live, Status
from wire.receipts import Receipt, StreamReceipt, decode_receipt, encode_receipt
from wire.site import DESCRIBED, SiteBody, sendable


def test_a_newer_centers_receipt_frees_what_it_has():
    told = Receipt(generation="g", at_ns=1, streams={"aa": StreamReceipt(kind="facts", mark=7)})
    plain = json.loads(told.model_dump_json())
    newer = plain | {"weather": "fine", "streams": {"aa": plain["streams"]["aa"] | {"colour": "blue"}}}
    assert Receipt.model_validate(newer) == told
    assert decode_receipt(encode_receipt(told)) == told


@pytest.mark.parametrize(
    ("kind", "body"), [(Status, {"online": True, "at_ns": 1}), (Live, {"at_ns": 1, "machines": {}})]
)
def test_a_newer_gateway_is_still_seen(kind, body):
    assert kind.model_validate(body | {"weather": "fine"}) == kind.model_validate(body)


def test_a_site_body_has_additions_only_for_a_center_that_knows_them():
    """An older center keeps a site body with fields that it does not know in quarantine."""
    machine = {"name": {"en": "m"}, "kind": "press", "quality": "plc", "states": ["running"]}
    body = SiteBody(
        config_hash="h",
        valid_from_ns=1,
        name={"en": "s"},
        timezone="UTC",
        machines={"m": machine},
        products={"p": {"verified": date(2026, 3, 1), "verified_by": "Lan"}},
        reasons={"r": {"name": {}, "state": "planned_stop", "maintenance": "preventive"}},
        lines={"l": {"stations": ["m"]}},
        trade="plastics",
        tariff_per_kwh=1886.0,
    )
    assert SiteBody.model_validate(sendable(body, [DESCRIBED])) == body
    old = json.dumps(sendable(body, []))
    for word in ("kind", "quality", "states", "verified", "maintenance", "stations", "trade", "tariff"):
        assert word not in old
    assert SiteBody.model_validate_json(old).machines["m"].minor_stop_at_most_s == 300


def test_what_is_counted_is_understood_whole_or_not_at_all():
    with pytest.raises(ValidationError, match="weather"):
        SiteBody.model_validate({"weather": "fine"})
