"""The whole chain against the simulator's truth: real processes, real sockets, over the embedded broker."""

from nhip_demo import demo


def test_the_center_tells_the_simulators_truth(tmp_path):
    """Over the embedded broker (amqtt, MQTT 3.1.1)."""
    done, report = demo(tmp_path, "--for", "60s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert report["ok"]
    assert set(report["machines"]) == {"press-1", "cnc-1", "cnc-2", "inj-1", "pack-1", "sew-1"}
    assert sum(item["truth"]["pieces"] for item in report["machines"].values()) > 20
    tolerances = {name: item["tolerance_oee"] for name, item in report["machines"].items()}
    assert tolerances["press-1"] <= 0.05
    assert report["oee_not_judged"] == [name for name, tolerance in tolerances.items() if tolerance is None]
    assert ("window too short" in done.stdout + done.stderr) == bool(report["oee_not_judged"])
    assert report["delivery"]["missing"] == 0
    assert report["delivery"]["delivered"] > 0
