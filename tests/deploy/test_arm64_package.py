"""The package for arm64 in a fresh Debian of that processor, played by QEMU: what is wrong with a binary or a path shows, speed does not.

NHIP_ARM64_PACKAGE names a package that is already built; else the last commit is built. The root takes ten minutes the first time.
"""

import json
import os
import re
from pathlib import Path

import pytest
from debian import ANSWERS, OUTBOX, built, fresh_root, simulated
from servers import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


def test_a_gateway_with_arm64_reads_a_plc_up_to_an_oee(tmp_path):
    folder = tmp_path / "gateway"
    folder.mkdir()
    with fresh_root(folder, "arm64") as gateway, simulated(tmp_path) as port:
        given = os.environ.get("NHIP_ARM64_PACKAGE")
        package = Path(given) if given else built("nhip-agent", tmp_path, "--compress", "gzip", processor="arm64")
        assert gateway.run("uname", "-m") == "aarch64\n"
        gateway.run("dpkg", "-i", gateway.put(package))
        assert "✗" not in gateway.run("nhip", "doctor")
        gateway.run("nhip", "init", "/root/site.yaml", "--yes", "--device", f"lathe=127.0.0.1:{port}", *ANSWERS)
        assert "2 tags fine" in gateway.run("nhip", "check", "/root/site.yaml", "--for", "3s", code=None)
        gateway.run("install", "-m", "640", "-g", "nhip", "/root/site.yaml", "/etc/nhip/site.yaml")
        show = ("nhip", "show", "--once", "/etc/nhip/site.yaml", "--outbox", OUTBOX)
        with gateway.service("nhip-agent"):
            gateway.run("nhip", "clock", "confirm", OUTBOX, "--yes", user="nhip")
            eventually(lambda: re.search(r"cnc-1.*\d ?%", gateway.run(*show, user="nhip")), 600, 1)
        assert json.loads(gateway.run("nhip", "outbox", OUTBOX, "--json"))["waiting"] > 0
