"""A gateway describes itself to the center in words that the center knows, and again when it knows more."""

from agent.store.site import KNOWS, SENT, SiteAnnouncement
from center.contract.ledger import LedgerSnapshot
from center.ledger.cache import LedgerCache, receipt
from wire.receipts import Receipt, decode_receipt, encode_receipt
from wire.site import DESCRIBED, SiteBody

MACHINE = {"name": {"en": "m"}, "kind": "press", "quality": "plc", "states": ["running"]}
SITE = {"config_hash": "h", "name": {"en": "s"}, "timezone": "UTC", "machines": {"m": MACHINE}, "trade": "plastics"}


def commit(site, settings):
    contents, changed = site.extras(settings)
    site.stored(site.due)
    settings |= dict(changed)
    return [body for _, body in contents]


def test_additions_are_sent_when_the_center_says_that_it_knows_them_and_not_again_after_a_restart():
    settings = {}
    site = SiteAnnouncement()
    site.announce(SITE, 5)
    (first,) = commit(site, settings)
    assert "trade" not in first
    assert "quality" not in first["machines"]["m"]
    told = decode_receipt(encode_receipt(receipt(LedgerCache(LedgerSnapshot("1", {}, {}, {}, [])), "s", "g", 7)))
    site.learn(told.knows, 9)
    (second,) = commit(site, settings)
    assert (second["valid_from_ns"], second["trade"]) == (9, "plastics")
    assert SiteBody.model_validate(second).machines["m"].states == ["running"]
    site.learn(told.knows, 11)
    assert commit(site, settings) == []
    again = SiteAnnouncement(frozenset(settings[KNOWS].split(",")))
    again.announce(SITE, 13)
    assert commit(again, settings) == []
    assert DESCRIBED in told.knows
    assert SENT in settings


def test_a_center_that_went_back_to_an_older_version_gets_what_it_knows():
    settings = {}
    site = SiteAnnouncement(frozenset({DESCRIBED}))
    site.announce(SITE, 5)
    assert "trade" in commit(site, settings)[0]
    site.learn(Receipt(generation="g", at_ns=1).knows, 9)
    assert "trade" not in commit(site, settings)[0]
