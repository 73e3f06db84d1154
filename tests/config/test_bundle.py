"""The file that a gateway gets when it is enrolled, and the site file that names it."""

import pytest

import words
from agent.uplink.mqtt.broker import broker_of, login, stamp_of
from config import Misconfigured, parse_site
from config.bundle import Bundle, bundle_for, load_bundle, write_bundle

SITE = "site: van-long\ntimezone: Asia/Ho_Chi_Minh\ncenter: {{{link}}}\n"
MADE = Bundle(
    site="van-long",
    gateway="main",
    broker="mqtts://mqtt.example.vn:8884",
    username="van-long.main",
    password="s3cret-and-long",
    password_file="",
    ca_file="",
    ca="-----BEGIN CERTIFICATE-----\n",
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.bundle"
    path.write_text(write_bundle(MADE))
    return path


def codes(link):
    with pytest.raises(Misconfigured) as caught:
        parse_site(SITE.format(link=link))
    for item in caught.value.complaints:
        assert words.complaint(item, "vi")
    return [item.code for item in caught.value.complaints]


def test_a_bundle_says_all_that_a_connection_needs(file):
    site, _ = parse_site(SITE.format(link=f'bundle: "{file}"'))
    broker = broker_of(site.center, site.site, site.gateway)
    assert (broker.host, broker.port, broker.tls, broker.username) == ("mqtt.example.vn", 8884, True, "van-long.main")
    used = login(broker)
    assert (used.username, used.password, used.authorities, used.serial) == (
        "van-long.main",
        "s3cret-and-long",
        MADE.ca,
        1,
    )
    part = file.with_suffix(".part")
    part.write_text(write_bundle(MADE.model_copy(update={"username": "van-long.main.2", "serial": 2})))
    part.replace(file)
    assert stamp_of(file) != used.stamp
    assert (login(broker).username, login(broker).serial) == ("van-long.main.2", 2)
    file.unlink()
    assert stamp_of(file) == (0, 0)
    with pytest.raises(OSError, match=r"a\.bundle"):
        login(broker)


@pytest.mark.parametrize(
    "link",
    ["username: x", "", 'bundle: a, broker: "mqtt://h"', "bundle: a, username: x", "bundle: a, password_file: x"],
)
def test_a_bundle_or_a_broker(link):
    assert codes(link or "ca_file: x") == ["bundle_or_broker"]


@pytest.mark.parametrize("text", ["", "{}", "nothing of ours", b"\xff\xfe", '{"nhip_bundle": 2}'])
def test_what_is_no_bundle(file, text):
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(Misconfigured) as caught:
        load_bundle(file)
    assert caught.value.complaints[0].code == "bundle_unreadable"


def test_a_complaint_never_shows_the_secret(file):
    file.write_text(write_bundle(MADE).replace('"serial": 1', '"serial": 0').replace("van-long.main", "x"))
    with pytest.raises(Misconfigured) as caught:
        load_bundle(file)
    assert MADE.password not in str(caught.value)


def test_another_gateway_s_bundle(file):
    assert bundle_for(str(file), "van-long", "main") == MADE
    with pytest.raises(Misconfigured) as caught:
        bundle_for(str(file), "van-long", "annex")
    assert "van-long/annex" in words.complaint(caught.value.complaints[0], "en")
