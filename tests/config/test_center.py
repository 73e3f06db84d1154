"""The center's file."""

import pytest

import config
import words

TEXT = """
listen: 127.0.0.1:8080
broker: mqtts://mqtt.example.vn
username: center
password_file: /etc/nhip/password
store: {kind: duckdb, file: nhip.duckdb}
"""


def test_a_sound_file():
    center = config.parse_center(TEXT)
    assert (center.listen_host, center.listen_port) == ("127.0.0.1", 8080)
    assert (center.host, center.port, center.tls) == ("mqtt.example.vn", 8883, True)
    assert center.store.kind == "duckdb"
    assert center.store.options == {"file": "nhip.duckdb"}
    assert center.language == "vi"


def test_defaults():
    center = config.parse_center("broker: mqtt://127.0.0.1:1884\nstore: {kind: duckdb}\n")
    assert (center.host, center.port, center.tls) == ("127.0.0.1", 1884, False)
    assert center.listen_port == 8080


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("", ["empty_file"]),
        ("store: {file: x}\n", ["missing_key", "missing_key"]),
        ("broker: mqtt://u:p@host\nlisten: here\nstore: {kind: Duck/DB}\n", ["bad_broker", "bad_listen", "invalid"]),
        ("broker: mqtt://host:99999\nstore: {kind: duckdb}\nlanguage: fr\n", ["bad_broker", "not_one_of"]),
        ("broker: mqtt://host\nstore: {kind: duckdb}\nlisten: 0.0.0.0:80\naccounts: off\n", ["open_without_accounts"]),
        ("broker: mqtt://host\nstore: {kind: duckdb}\nlisten: 0.0.0.0:80\n", ["open_without_https"]),
        (
            "broker: mqtt://host\nstore: {kind: duckdb}\nproxy: example\ndatabase: mysql://x\n",
            ["bad_database", "bad_proxy"],
        ),
        *(
            (f"broker: mqtt://host\nstore: {{kind: duckdb}}\nroot_path: {path}\n", [code])
            for path, code in (
                ("nhip", "bad_root_path"),
                ("//evil", "bad_root_path"),
                ("/a/../b", "bad_root_path"),
                ("/a b", "bad_root_path"),
                ("https://example.vn/nhip", "bad_root_path"),
                ("/api/x", "root_path_taken"),
                ("/Login", "root_path_taken"),
            )
        ),
        ("broker: mqtt://host\nstore: {kind: duckdb}\nproxy: [127.0.0.1, x]\n", ["bad_proxy"]),
        ("broker: mqtt://host\nstore: {kind: duckdb}\nproxy: 0.0.0.0/0\n", ["proxy_is_everybody"]),
        ("broker: mqtt://host\nstore: {kind: duckdb}\naccounts: off\nproxy: ::1\n", ["proxy_without_accounts"]),
        ("brokr: mqtt://host\nstore: {kind: duckdb}\n", ["missing_key", "unknown_key"]),
        ("broker: mqtt://host\nbroker: mqtt://host\nstore: {kind: duckdb}\n", ["duplicate_key"]),
    ],
)
def test_complaints(text, codes):
    with pytest.raises(config.Misconfigured) as caught:
        config.parse_center(text, "c.yaml")
    assert sorted(item.code for item in caught.value.complaints) == codes
    for item in caught.value.complaints:
        assert words.complaint(item, "vi").startswith("c.yaml")
    assert "c.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("more", "proxies", "root_path", "secure"),
    [
        ("", (), "", False),
        ("proxy: 127.0.0.1\nroot_path: /nhip/", ("127.0.0.1/32",), "/nhip", True),
        ("proxy: [10.0.0.0/24, ::1]\nroot_path: /", ("10.0.0.0/24", "::1/128"), "", True),
        ("proxy:\nroot_path: /apps/nhip", (), "/apps/nhip", False),
    ],
)
def test_proxies_and_root_path(more, proxies, root_path, secure):
    center = config.parse_center(f"broker: mqtt://host\nstore: {{kind: duckdb}}\n{more}\n")
    assert (center.proxy, center.root_path, center.secure) == (proxies, root_path, secure)


FILES = """
https: {certificate: tls/center.pem, key: /etc/nhip/center.key}
broker: mqtts://mqtt.example.vn
password_file: password
store: {kind: influxdb, url: "http://127.0.0.1:8086", database: nhip, books: books.duckdb, timeout_s: 5}
database: sqlite:///accounts.sqlite
enrolment: {passwords: passwords, rules: /var/lib/rules}
"""


def test_files_lie_beside_the_file_that_names_them(tmp_path):
    file = tmp_path / "center.yaml"
    file.write_text(FILES)
    center = config.load_center(file)
    assert center.password_file == str(tmp_path / "password")
    assert (center.https.certificate, center.https.key) == (str(tmp_path / "tls/center.pem"), "/etc/nhip/center.key")
    assert (center.enrolment.passwords, center.enrolment.rules) == (str(tmp_path / "passwords"), "/var/lib/rules")
    assert center.enrolment.pid_file == center.ca_file == ""
    assert center.store.options == {
        "url": "http://127.0.0.1:8086",
        "database": "nhip",
        "books": str(tmp_path / "books.duckdb"),
        "timeout_s": 5,
    }
    assert center.database_url == f"sqlite:///{tmp_path / 'accounts.sqlite'}"


def test_accounts_lie_beside_a_store_beside_the_file(tmp_path):
    file = tmp_path / "center.yaml"
    file.write_text("broker: mqtt://127.0.0.1:1883\nstore: {kind: duckdb, file: nhip.duckdb}\n")
    assert config.load_center(file).database_url == f"sqlite:///{tmp_path / 'nhip.accounts.sqlite'}"
    file.write_text(
        "broker: mqtt://127.0.0.1:1883\nstore: {kind: duckdb, file: /data/n.duckdb}\ndatabase: sqlite:////d/a\n"
    )
    center = config.load_center(file)
    assert (center.store.options["file"], center.database_url) == ("/data/n.duckdb", "sqlite:////d/a")


MAIL = "broker: mqtt://host\nstore: {kind: duckdb}\n"


def test_mail_and_reports():
    center = config.parse_center(
        MAIL + "mail: {server: smtp.example.vn:587, sender: nhip@example.vn}\n"
        "reports: [{site: van-long, to: [lan@example.vn, hoa@example.vn], language: en, each: day, after: 20min}]\n"
    )
    assert (center.mail.host, center.mail.port, center.mail.security) == ("smtp.example.vn", 587, "starttls")
    (report,) = center.reports
    assert (report.site, report.line, report.to) == ("van-long", "", ("lan@example.vn", "hoa@example.vn"))
    assert (report.each, report.after, report.give_up) == ("day", 1200, 259_200)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("reports: [{site: van-long, to: [lan@example.vn]}]\n", ["reports_without_mail"]),
        ("mail: {server: smtp.example.vn, sender: nobody}\n", ["bad_listen", "bad_mail_address"]),
        ("mail: {server: 's:587', sender: a@b, username: nhip}\n", ["mail_login"]),
        (
            "mail: {server: 's:25', sender: a@b, username: nhip, password_file: p, security: none}\n",
            ["mail_in_clear"],
        ),
        (
            "mail: {server: 's:25', sender: a@b}\nreports: [{site: Van Long, to: [lan]}]\n",
            ["bad_mail_address", "bad_site_id"],
        ),
    ],
)
def test_complaints_about_mail(text, codes):
    with pytest.raises(config.Misconfigured) as caught:
        config.parse_center(MAIL + text, "c.yaml")
    assert sorted(item.code for item in caught.value.complaints) == codes
    for item in caught.value.complaints:
        assert words.complaint(item, "vi").startswith("c.yaml")


ALERTS = """
broker: mqtt://host
store: {kind: duckdb}
mail: {server: "127.0.0.1:25", sender: nhip@example.vn}
alerts:
"""


def test_alerts_with_rules_of_a_site(tmp_path):
    text = """
  stop: {longer: 20min}
  off: [coverage]
  quiet: ["22:00-06:00", "11:30-12:30"]
  sites:
    van-long: {stop: {states: [breakdown]}, quiet: [], oee: {from: 75%}}
  channels:
    bao-tri: {address_file: zalo}
    lan: {mail: [lan@example.vn], language: en}
  send:
    - {to: [bao-tri], kinds: [stop, call], calls: [maintenance], quiet: ignore}
    - {to: [lan, bao-tri], sites: [van-long], lines: [stamping], after: 30min}
"""
    (tmp_path / "c.yaml").write_text(ALERTS + text)
    alerts = config.load_center(tmp_path / "c.yaml").alerts
    assert alerts.channels["bao-tri"].address_file == str(tmp_path / "zalo")
    assert (alerts.stop.longer, alerts.quiet[0]) == (1200.0, (79_200, 21_600))
    mine, other = alerts.rules_of("van-long"), alerts.rules_of("hoa-binh")
    assert (mine.stop.longer, mine.stop.states, mine.quiet, mine.off) == (1200.0, ("breakdown",), (), ("coverage",))
    assert (mine.oee.part, mine.oee.below, other.oee.part) == (0.75, 5.0, 0.5)
    assert other.stop == alerts.stop
    assert [route.after for route in alerts.send] == [0.0, 1800.0]


def test_a_file_without_alerts_has_none_and_an_empty_block_has_the_usual_rules():
    assert config.parse_center("broker: mqtt://host\nstore: {kind: duckdb}\n").alerts is None
    alerts = config.parse_center(ALERTS.replace("alerts:", "alerts: {}")).alerts
    assert (alerts.stop.longer, alerts.no_data.longer, alerts.send) == (900.0, 600.0, ())


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("{stop: {longer: 15}}", "bad_duration", "15"),
        ("{stop: {states: [running]}}", "not_one_of", "running"),
        ("{stopp: {longer: 15min}}", "unknown_key", "stop"),
        ("{off: [oe]}", "not_one_of", "oee"),
        ("{coverage: {below: 950%}}", "bad_aimed_ratio", "950%"),
        ('{quiet: ["22:00-22:00"]}', "quiet_always", "22:00-22:00"),
        ('{quiet: ["22h-6h"]}', "bad_clock", "22h-6h"),
        ("{channels: {a: {language: vi}}}", "alert_channel_way", "zalo://"),
        ("{channels: {a: {mail: [lan@example.vn], address_file: f}}}", "alert_channel_way", "mail"),
        ("{channels: {bao-tri: {address_file: f}}, send: [{to: [bao-tr]}]}", "alert_channel", "bao-tri"),
        ("{sites: {van-long: {oee: {below: 0}}}}", "out_of_range", "0"),
    ],
)
def test_what_is_wrong_with_alerts_is_said(text, code, said):
    with pytest.raises(config.Misconfigured) as caught:
        config.parse_center(ALERTS.replace("alerts:\n", f"alerts: {text}\n"), "c.yaml")
    (item,) = caught.value.complaints
    assert item.code == code
    assert said in words.complaint(item, "vi")
    assert said in words.complaint(item, "en")


def test_alerts_by_mail_need_a_mail_server():
    text = "broker: mqtt://host\nstore: {kind: duckdb}\nalerts: {channels: {lan: {mail: [lan@example.vn]}}}\n"
    with pytest.raises(config.Misconfigured) as caught:
        config.parse_center(text)
    assert [item.code for item in caught.value.complaints] == ["alerts_without_mail"]
