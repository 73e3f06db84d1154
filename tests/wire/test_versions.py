"""Gateways and center of different versions: what one adds stops nothing at the other, and nothing is guessed."""

import json

import pytest
from pydantic import ValidationError

from wire.bodies import Live, SiteBody, Status
from wire.receipts import Receipt, StreamReceipt, decode_receipt, encode_receipt


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


def test_what_is_counted_is_understood_whole_or_not_at_all():
    with pytest.raises(ValidationError, match="weather"):
        SiteBody.model_validate({"weather": "fine"})
