"""Alerts of the real process: `nhip center` with a broker, a gateway that sends, and a receiver; also after a restart and a kill."""

import json
import signal
import time

import httpx
from alert_plant import Receiver
from center_plant import site_body
from servers import PATIENCE_S, eventually
from whole_center import Center

from wire.bodies import Live, LiveMachine, Notice, Status
from wire.envelope import pack_message, seal

ALERTS = """
alerts:
  stop: {{longer: 1s, over: 1s}}
  off: [oee, pieces, coverage, no_data]
  channels: {{bao-tri: {{address_file: "{hook}"}}, quan-doc: {{address_file: "{boss}"}}}}
  send:
    - {{to: [bao-tri]}}
    - {{to: [quan-doc], after: {after}}}
"""


class Plant:
    """A center whose alerts go to two receivers. The site's calendar has shifts round the clock."""

    def __init__(self, folder, hook, boss, after="2s"):
        folder.mkdir(exist_ok=True)
        (folder / "hook").write_text(hook.webhook())
        (folder / "boss").write_text(boss.webhook())
        self.center = Center(folder, ALERTS.format(hook=folder / "hook", boss=folder / "boss", after=after))
        self.state, self.since_ns, self.notices = "running", time.time_ns(), []
        self.cookies = httpx.Cookies()

    def begin(self):
        """Waits until the center knows the site, whose shifts are round the clock."""
        shift = {"name": "A", "weekdays": list(range(7)), "start_s": 0, "end_s": 86_400, "breaks": []}
        body = site_body(["press-1", "press-2"], calendars={"": {"shifts": [shift]}})
        self.center.filled()

        def known():
            self.center.gateway.send(seal("c" * 16, 1, 1, body).data, kind="site")
            rows = self.api("GET", "/machines", site="van-long")
            return all(row["calendar"] is not None and row["name"]["vi"].startswith("Máy") for row in rows)

        eventually(known, every_s=0.5)

    def speak(self):
        """As a gateway does: what its machines are doing."""
        machine = LiveMachine(state=self.state, since_ns=self.since_ns)
        now_ns = time.time_ns()
        live = Live(at_ns=now_ns, machines={"press-1": machine, "press-2": LiveMachine(state="running", since_ns=1)})
        self.center.gateway.send(pack_message(live), kind="live")
        self.center.gateway.send(pack_message(Status(online=True, at_ns=now_ns, notices=self.notices)), kind="status")

    def becomes(self, state):
        self.state, self.since_ns = state, time.time_ns()
        self.speak()

    def until(self, condition):
        def said():
            self.speak()
            return condition()

        return eventually(said, every_s=0.3)

    def api(self, method, path, **query):
        with httpx.Client(base_url=self.center.url, timeout=PATIENCE_S, cookies=self.cookies) as client:
            answer = client.request(method, f"/api/v1{path}", params=query)
            if answer.status_code == 401:
                client.post("/login", data={"name": "hoa", "password": self.center.password, "next": "/"})
                self.cookies = client.cookies  # a session outlives a restart
                answer = client.request(method, f"/api/v1{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


def test_a_machine_that_stands_at_a_real_center(tmp_path):
    with Receiver() as hook, Receiver() as boss:
        plant = Plant(tmp_path / "center", hook, boss, after="1h")
        with plant.center.stack:
            plant.begin()
            plant.becomes("breakdown")
            plant.until(lambda: hook.got)
            (alert,) = plant.api("GET", "/alerts")["rows"]
            assert (alert["machine"], alert["kind"], alert["acknowledged"]) == ("press-1", "stop", None)
            plant.until(lambda: plant.api("GET", "/alerts")["rows"][0]["told"])  # else it may go out again
            plant.center.restart(signal.SIGKILL)
            plant.until(lambda: plant.api("GET", "/health")["conditions"].get("alerts") == "ok")
            again = plant.api("GET", "/alerts")["rows"]
            assert [row["id"] for row in again] == [alert["id"]], "not another one after a kill"
            taken = plant.api("POST", f"/alerts/{alert['id']}/acknowledge")
            assert taken["by"] == "hoa"
            trail = plant.center.trail()
            assert [(row["what"], row["about"]) for row in trail if row["what"] == "alert.taken"] == [
                ("alert.taken", "van-long/press-1")
            ]
            plant.becomes("running")
            plant.until(lambda: len(hook.got) == 2)
            plant.center.restart()
            plant.until(lambda: plant.api("GET", "/health")["conditions"].get("alert_channels") == "ok")
            (over,) = plant.api("GET", "/alerts", state="past")["rows"]
            assert (over["id"], over["over"], over["told"], over["waiting"]) == (alert["id"], True, 1, 0)
            channels = {row["outlet"]: row["works"] for row in plant.api("GET", "/alert-channels")}
            assert channels == {"bao-tri": True, "quan-doc": None}
        assert len(hook.got) == 2
        assert boss.got == []
    begun, ended = hook.titles
    assert begun.startswith("Máy press-1 dừng đã ")
    assert ended.startswith("Máy press-1 đã chạy lại sau ")


def test_a_call_from_the_tablet_reaches_the_channel_of_a_real_center(tmp_path):
    with Receiver() as hook, Receiver() as boss:
        plant = Plant(tmp_path / "center", hook, boss)
        with plant.center.stack:
            plant.begin()
            now_ns = time.time_ns()
            plant.notices = [
                Notice(id="c1", at_ns=now_ns, machine="press-1", kind="call", about="maintenance", by="andon/t1")
            ]
            plant.until(lambda: hook.got)
            plant.until(lambda: boss.got)  # nobody has come
            metrics = httpx.get(f"{plant.center.url}/metrics").text
            assert 'nhip_center_alerts_open{kind="call",site="van-long"} 1.0' in metrics
            assert 'nhip_center_alert_channel_up{outlet="bao-tri"} 1.0' in metrics
            on_the_way = Notice(
                id="s1", at_ns=now_ns + 1, machine="press-1", kind="step", about="on_the_way", of="c1", by="andon/t2"
            )
            plant.notices = [on_the_way]
            plant.until(lambda: plant.api("GET", "/alerts")["rows"][0]["acknowledged"])
            solved = on_the_way.model_copy(update={"id": "s2", "about": "solved", "at_ns": now_ns + 2})
            plant.notices = [solved]
            plant.until(lambda: len(hook.got) == 2 and len(boss.got) == 2)
    assert "gọi bảo trì" in hook.titles[0]
    assert boss.titles[0].startswith("Chưa ai nhận: ")
    assert json.dumps(hook.got[0][1], ensure_ascii=False).count("press-1")
