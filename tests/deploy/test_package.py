"""The package in a fresh Debian: the guide of deploy/README.md up to a visible OEE, dpkg killed in the middle of updates, removal.

The root has nothing but a minimal Debian with Python (tests/deploy/debian.py). NHIP_PACKAGE names a package that is already built,
NHIP_PACKAGE_KEY the secret key whose public half is in it; else the last commit is built.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from debian import ANSWERS, CHECKOUT, OUTBOX, UNLOCKED, built, fresh_root, simulated, update_of, version_of
from servers import eventually

GUIDE = CHECKOUT / "deploy" / "README.md"
CUTS_S = (0.5, 2, 6, 15)
"""When dpkg is killed [s]: it unpacks for longer than the first, and the last is likely to come after its end."""

LARGEST_MB = {"xz": 22, "gz": 33}
"""Of a package for a gateway, by its compression; released is xz."""
INSTALLED_MB = 100
EVERY_MODULE = """
import importlib, pkgutil, numpy.ma
for room in ("oee", "wire", "config", "adapters", "agent", "tools", "cli", "words", "simulator"):
    for found in pkgutil.walk_packages(importlib.import_module(room).__path__, room + "."):
        importlib.import_module(found.name)
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with fresh_root(tmp_path_factory.mktemp("debian")) as root:
        yield root


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The package, and the same as an update, with signed sums where the key is known."""
    folder = tmp_path_factory.mktemp("packages")
    secret, sums = Path(os.environ.get("NHIP_PACKAGE_KEY", folder / "packager")), folder / "SHA256SUMS"
    if given := os.environ.get("NHIP_PACKAGE"):
        old = Path(shutil.copy(given, folder))
    else:
        subprocess.run([CHECKOUT / "scripts" / "sign", "new", secret], env=UNLOCKED, check=True)
        old = built("nhip-agent", folder, "--compress", "gzip", "--key", secret)
    new = update_of(old, folder)
    if secret.exists():
        sums.write_bytes(subprocess.run(["sha256sum", old.name, new.name], cwd=folder, capture_output=True).stdout)
        subprocess.run([CHECKOUT / "scripts" / "sign", "sums", secret, sums], env=UNLOCKED, check=True)
    return old, new


def waits(gateway):
    """Envelopes in the outbox that no center has receipted."""
    return json.loads(gateway.run("nhip", "outbox", OUTBOX, "--json"))


def test_the_guide_leads_from_the_file_to_an_oee(gateway, packages, tmp_path):
    """The commands of the guide, in its order; what systemd does is done as its unit says."""
    old, _ = packages
    guide = GUIDE.read_text(encoding="utf-8")
    begun_s = time.monotonic()
    gateway.run("dpkg", "-i", gateway.put(old))
    assert "nhip-agent" in gateway.run("dpkg", "-s", "nhip-agent")
    assert "nhip doctor" in guide
    assert "✗" not in gateway.run("nhip", "doctor")
    with simulated(tmp_path) as port:
        gateway.run("nhip", "init", "/root/site.yaml", "--yes", "--device", f"lathe=127.0.0.1:{port}", *ANSWERS)
        assert "2 tags fine" in gateway.run("nhip", "check", "/root/site.yaml", "--for", "3s", code=None)
        place = re.search(r"sudo (install -m 640 -g nhip site.yaml .*)", guide)[1]
        gateway.run("sh", "-c", f"cd /root && {place}")
        show = re.search(r"sudo -u nhip (nhip show .*)", guide)[1].split()
        with gateway.service("nhip-agent"):
            gateway.run("nhip", "clock", "confirm", OUTBOX, "--yes", user="nhip")
            eventually(lambda: re.search(r"cnc-1.*\d ?%", gateway.run(*show, user="nhip")), 300, 1)
            assert "✗" not in gateway.run("nhip", "doctor")
    assert time.monotonic() - begun_s < 15 * 60
    assert waits(gateway)["waiting"] > 0


def test_the_package_is_small_and_whole(gateway, packages):
    """Nothing is missing that a gateway's commands import, and every module has its byte code: the service can write none."""
    members = subprocess.run(["ar", "t", packages[0]], capture_output=True, text=True, check=True).stdout
    compression = re.search(r"data\.tar\.(\w+)", members)[1]
    assert packages[0].stat().st_size < LARGEST_MB[compression] * 1e6
    assert int(gateway.run("dpkg-query", "-W", "-f", "${Installed-Size}", "nhip-agent")) < INSTALLED_MB * 1000
    slot = f"/opt/nhip/{version_of(packages[0])}"
    gateway.run(f"{slot}/bin/python3", "-I", "-c", EVERY_MODULE)
    libraries = gateway.folder / slot.lstrip("/") / "lib"
    sources, compiled = (sum(1 for _ in libraries.rglob(kind)) for kind in ("*.py", "*.pyc"))
    assert sources == compiled > 1000
    assert "not installed here" in gateway.run("nhip", "center", "/root/center.yaml", code=2)


def test_an_update_is_judged_by_the_key_of_what_is_installed(gateway, packages):
    new = packages[1]
    sums = new.with_name("SHA256SUMS")
    if not sums.exists():
        pytest.skip("NHIP_PACKAGE without NHIP_PACKAGE_KEY")
    for file in (sums, sums.with_name("SHA256SUMS.minisig")):
        gateway.put(file)
    copied = gateway.put(new)
    assert "✓" in gateway.run("nhip", "verify", copied)
    with (gateway.folder / copied.lstrip("/")).open("r+b") as cut:
        cut.truncate(1_000_000)
    assert "cut short" in gateway.run("nhip", "verify", copied, code=1)


def test_dpkg_killed_during_updates_leaves_a_version_that_starts(gateway, packages):
    kept, found = waits(gateway), set()
    for number, cut_s in enumerate(CUTS_S):
        new = packages[(number + 1) % 2]
        process = subprocess.Popen(
            gateway.command(["dpkg", "-i", gateway.put(new)]), stdout=subprocess.DEVNULL, start_new_session=True
        )
        with suppress(subprocess.TimeoutExpired):
            process.wait(cut_s)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        used = gateway.slot()
        found.add(used)
        assert used in [version_of(package) for package in packages]
        gateway.run("nhip", "check", "--offline", "/etc/nhip/site.yaml")
        with gateway.service("nhip-agent"):
            pass
        assert waits(gateway)["waiting"] >= kept["waiting"]
        gateway.run("dpkg", "-i", gateway.put(new))  # what the guide says
        assert gateway.slot() == version_of(new)
    assert len(found) == 2


def test_going_back_needs_no_file(gateway, packages):
    before = re.search(r"^  (\S+)$", gateway.run("/usr/lib/nhip/slots"), re.MULTILINE)[1]
    gateway.run("/usr/lib/nhip/slots", "back")
    assert gateway.slot() == before


def test_manual_and_completion_are_there(gateway, packages):
    assert (gateway.folder / "usr/share/bash-completion/completions/nhip").read_text().startswith("_nhip")
    done = subprocess.run(
        gateway.command(["env", "_NHIP_COMPLETE=bash_complete", "COMP_WORDS=nhip doc", "COMP_CWORD=1", "nhip"]),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.split() == ["plain,doctor"]


def test_removing_and_purging_keep_what_the_center_does_not_have(gateway, packages):
    kept = waits(gateway)
    assert "kept /var/lib/nhip" in gateway.run("dpkg", "--remove", "nhip-agent")
    assert not (gateway.folder / "opt/nhip").exists()
    assert not (gateway.folder / "usr/lib/nhip").exists()
    assert "kept /var/lib/nhip" in gateway.run("dpkg", "--purge", "nhip-agent")
    assert not (gateway.folder / "etc/default/nhip-agent").exists()
    gateway.run("dpkg", "-i", gateway.put(packages[0]))
    assert waits(gateway) == kept
    assert (gateway.folder / "etc/nhip/site.yaml").exists()
