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
