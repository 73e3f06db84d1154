"""Messages through Apprise and SMTP to real receivers; what goes wrong is said, and holds no secret."""

import json
import logging
import threading

import pytest
from alert_plant import TELEGRAM, ZALO, Receiver, redirect_services
from click.testing import CliRunner
from servers import free_port
from test_report_mails import Post as MailPost

import nhip
from center.model.alerts.owed import Outlet
from center.outgoing.alerts.channels import NotTold, Post, why_text
from center.outgoing.alerts.texts import AlertText
from config.alerts import ChannelModel
from config.mail import MailModel

TEXT = AlertText(
    "Máy dập 1 dừng đã 15 phút",
    "Từ 08:00. <b>Kẹt khuôn</b>; chưa có lý do.\nNhận việc tại: https://nhip.example.vn/alerts",
)


@pytest.fixture
def receiver():
    with Receiver() as made:
        yield made


def channel(tmp_path, address):
    (tmp_path / "address").write_text(f"# of the group\n{address}\n")
    return Post({"c": ChannelModel(address_file=str(tmp_path / "address"))}, None)


def tell(post):
    post.tell(Outlet("c"), TEXT, "key", 1_800_000_000 * 10**9)


@pytest.mark.parametrize(
    ("address", "path", "place"),
    [
        ("json://127.0.0.1:{port}/hook", "/hook", "message"),
        (f"tgram://{TELEGRAM}/12315544/", f"/bot{TELEGRAM}/sendMessage", "text"),
        (f"zalo://{ZALO}/nhom-1", f"/bot{ZALO}/sendMessage", "text"),
    ],
)
def test_a_service_has_the_whole_text(tmp_path, receiver, monkeypatch, address, path, place):
    redirect_services(monkeypatch, receiver)
    tell(channel(tmp_path, address.format(port=receiver.port)))
    ((asked, body),) = receiver.got
    assert asked == path
    said = f"{body.get('title', '')} {body[place]}"
    assert TEXT.title in said
    assert "https://nhip.example.vn/alerts" in said
    assert "<b>Kẹt" not in said or place == "message" or "zalo" in address, "what people wrote is text, not HTML"


@pytest.fixture
def center_log():
    """What reaches the center's log. (pytest's own `caplog` listens to loggers that keep their lines to themselves, too.)"""
    lines = []

    class Listener(logging.Handler):
        def emit(self, record):
            lines.append(record.getMessage())

    listener = Listener()
    logging.getLogger().addHandler(listener)
    yield lines
    logging.getLogger().removeHandler(listener)


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("json://127.0.0.1:{port}/very-secret-hook", 500, "500"),
        (f"tgram://{TELEGRAM}/12315544/", 401, ""),
        (f"zalo://{ZALO}/nhom-1", 429, "429"),
        ("json://127.0.0.1:1/very-secret-hook", 200, "127.0.0.1"),
        ("nowhere://x/y", 200, "zalo://"),
        ("zalo://not-a-token-but-secret/x", 200, "zalo://"),
        (f"tgram://{TELEGRAM}/1/2", 200, ""),
    ],
)
def test_what_goes_wrong_is_said_without_the_secrets(
    tmp_path, receiver, monkeypatch, center_log, address, status, said
):
    redirect_services(monkeypatch, receiver)
    receiver.status = status
    with pytest.raises(NotTold) as caught:
        tell(channel(tmp_path, address.format(port=receiver.port)))
    for lang in ("vi", "en"):
        why = why_text(caught.value.why, lang)
        assert why
        assert said in why
        for secret in (
            "very-secret-hook",
            TELEGRAM,
            ZALO,
            TELEGRAM.split(":")[1],
            ZALO.split(":")[1],
            "not-a-token-but-secret",
        ):
            assert secret not in why
            assert secret not in "".join(center_log)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    post = Post({"c": ChannelModel(address_file=str(tmp_path / "gone"))}, None)
    with pytest.raises(NotTold) as caught:
        tell(post)
    assert str(tmp_path / "gone") in why_text(caught.value.why, "vi")


def test_mail_goes_to_each_address_of_its_own():
    channels = {"lan": ChannelModel(mail=("a@example.vn", "b@example.vn"), language="en")}
    with MailPost() as server:
        mail = MailModel.model_validate(
            {"server": f"127.0.0.1:{server.port}", "sender": "nhip@example.vn", "security": "none"}
        )
        post = Post(channels, mail)
        for address in ("a@example.vn", "b@example.vn"):
            post.tell(Outlet("lan", address), TEXT, f"k/{address}", 1_800_000_000 * 10**9)
        server.refuse = {"a@example.vn": "550 no such mailbox"}
        with pytest.raises(NotTold) as caught:
            post.tell(Outlet("lan", "a@example.vn"), TEXT, "k", 0)
    assert "550 no such mailbox" in why_text(caught.value.why, "vi")
    assert [to for to, _, _ in server.got] == [["a@example.vn"], ["b@example.vn"]]
    message = server.got[0][1]
    assert (str(message["Subject"]), message["Content-Language"]) == (TEXT.title, "en")
    assert TEXT.body.splitlines()[0] in message.get_content()


def _center_file(tmp_path, text):
    path = tmp_path / "center.yaml"
    path.write_text(f"broker: mqtt://127.0.0.1:1883\nname: Trung tâm\nstore: {{kind: duckdb}}\n{text}")
    return str(path)


def _alerts_test(*arguments):
    return CliRunner().invoke(nhip.main, ["alerts", "test", *arguments])


def test_an_operator_tries_the_channels(tmp_path, receiver):
    (tmp_path / "good").write_text(receiver.webhook())
    (tmp_path / "bad").write_text(f"json://127.0.0.1:{free_port()}/secret-hook")
    file = _center_file(tmp_path, "alerts: {channels: {bao-tri: {address_file: good}, hong: {address_file: bad}}}\n")
    told = _alerts_test(file, "--lang", "vi")
    assert told.exit_code == 1
    assert "bao-tri: đã gửi" in told.output
    assert "hong: không gửi được" in told.output
    assert "secret-hook" not in told.output
    ((_, body),) = receiver.got
    assert "bao-tri" in body["message"]
    assert "Trung tâm" in body["message"]
    again = _alerts_test(file, "--channel", "bao-tri", "--json")
    assert again.exit_code == 0
    assert json.loads(again.output) == {"results": [{"outlet": "bao-tri", "sent": True, "why": ""}]}
    assert _alerts_test(file, "--channel", "x", "--lang", "en").exit_code == 1


def test_without_channels_the_test_says_what_to_add(tmp_path):
    told = _alerts_test(_center_file(tmp_path, ""), "--lang", "en")
    assert told.exit_code == 1
    assert "alerts.channels" in told.output


def test_two_threads_send_at_once(tmp_path, receiver):
    posts = [channel(tmp_path, receiver.webhook()) for _ in range(8)]
    threads = [threading.Thread(target=tell, args=(post,)) for post in posts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.got) == 8
