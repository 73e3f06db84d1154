"""The package in a fresh Debian: the guide of deploy/README.md up to a visible OEE, dpkg killed in the middle of updates, removal.

The root has nothing but a minimal Debian with Python, and no systemd runs in it: the agent is started as its unit would.
NHIP_PACKAGE names a package that is already built; else the last commit is built. The root is kept in build/.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from servers import answers, eventually, free_port

CHECKOUT = Path(__file__).resolve().parents[2]
ROOT_FILE = CHECKOUT / "build" / "debian12.tar"
GUIDE = CHECKOUT / "deploy" / "README.md"
OUTBOX = "/var/lib/nhip/site.outbox"
FACTORY = """timezone: UTC
shifts: [{name: A, start: "00:00", end: "12:00"}, {name: B, start: "12:00", end: "00:00"}]
machines:
  - {id: cnc-1, device: lathe, plc: cnc_rejects, port: PORT, counter_start: 120000, products: [{number: 7, ideal_s: 1}]}
"""
ANSWERS = (
    "--site", "tan-phat", "--timezone", "UTC", "--shift", "A mon-sun 00:00-12:00", "--shift", "B mon-sun 12:00-00:00",
    "--tag", "lathe.running: {discrete: 0}", "--tag", "lathe.parts: {holding: 10, type: uint32, order: CDAB}",
    "--machine", "cnc-1 running=lathe.running count=lathe.parts", "--product", "Shaft", "--ideal", "1s",
)  # fmt: skip
"""Of `nhip init`, but for the device's address."""
CUTS_S = (0.5, 2, 6, 15)
"""When dpkg is killed [s]: it unpacks for longer than the first, and the last is likely to come after its end."""

LARGEST_MB = {"xz": 22, "gz": 33}
"""Of a package for a gateway, by its compression; released is xz."""
INSTALLED_MB = 100
EVERY_MODULE = """
import importlib, pkgutil
for room in ("oee", "wire", "config", "adapters", "agent", "tools", "cli", "words", "simulator"):
    for found in pkgutil.walk_packages(importlib.import_module(room).__path__, room + "."):
        importlib.import_module(found.name)
"""
UNLOCKED = {"NHIP_SIGN_PASSPHRASE": "of a test"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


def _needed(tool):
    if os.geteuid() != 0 or shutil.which(tool) is None:
        pytest.skip(f"needs root and {tool}: sudo apt-get install {tool}")


class Gateway:
    """A fresh root of Debian 12."""

    def __init__(self, folder):
        self.folder = folder

    def command(self, words, user="root"):
        inside = [
            "env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG=C.UTF-8",
            "NHIP_LANG=en",
            "DEBIAN_FRONTEND=noninteractive",
        ]
        return ["chroot", f"--userspec={user}:{user}", str(self.folder), *inside, *map(str, words)]

    def run(self, *words, user="root", code=0):
        done = subprocess.run(self.command(words, user), capture_output=True, text=True)
        assert code is None or done.returncode == code, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def put(self, file):
        shutil.copy(file, self.folder / "root")
        return f"/root/{file.name}"

    def waits(self):
        """Envelopes in the outbox that no center has receipted."""
        return json.loads(self.run("nhip", "outbox", OUTBOX, "--json"))

    @contextmanager
    def agent(self):
        words = re.search(r"^ExecStart=(.*)$", self.unit(), re.MULTILINE)[1].split()
        ready = self.folder / "var/lib/nhip/ready"
        with (self.folder / "root/agent.log").open("ab") as log:
            process = subprocess.Popen(
                self.command([*words, "--ready-file", "/var/lib/nhip/ready"], "nhip"), stdout=log, stderr=log
            )
        try:
            eventually(ready.exists, what=(self.folder / "root/agent.log").read_text)
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()
            ready.unlink(missing_ok=True)

    def unit(self):
        return (self.folder / "usr/lib/systemd/system/nhip-agent.service").read_text()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    _needed("mmdebstrap")
    if not ROOT_FILE.exists():
        ROOT_FILE.parent.mkdir(exist_ok=True)
        part = ROOT_FILE.with_suffix(".part.tar")
        subprocess.run(["mmdebstrap", "--variant=minbase", "--include=python3", "bookworm", part], check=True)
        part.rename(ROOT_FILE)
    folder = tmp_path_factory.mktemp("debian")
    subprocess.run(["tar", "-xf", ROOT_FILE, "-C", folder], check=True)
    (folder / "etc/dpkg/dpkg.cfg.d/fast").write_text("force-unsafe-io\n")  # SIGKILL loses no write
    subprocess.run(["mount", "-t", "proc", "proc", folder / "proc"], check=True)
    try:
        yield Gateway(folder)
    finally:
        subprocess.run(["umount", folder / "proc"], check=True)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The package, and the same as an update."""
    folder = tmp_path_factory.mktemp("packages")
    if given := os.environ.get("NHIP_PACKAGE"):
        old = Path(shutil.copy(given, folder))
    else:
        secret = folder / "packager"
        subprocess.run([CHECKOUT / "scripts" / "sign", "new", secret], env=os.environ | UNLOCKED, check=True)
        wanted = ["--package", "nhip-agent", "--debian", "12", "--processor", "amd64", "--compress", "gzip"]
        wanted += ["--key", secret, "--out", folder]
        subprocess.run([CHECKOUT / "scripts" / "package", *wanted], env=os.environ | UNLOCKED, check=True)
        [old] = folder.glob("*.deb")
    new = _update_of(old, folder)
    if not given:
        sums = folder / "SHA256SUMS"
        sums.write_text(
            subprocess.run(["sha256sum", old.name, new.name], cwd=folder, capture_output=True, text=True).stdout
        )
        subprocess.run([CHECKOUT / "scripts" / "sign", "sums", secret, sums], env=os.environ | UNLOCKED, check=True)
    return old, new


def _update_of(old, folder):
    """The same package with another version, and a file that says it."""
    tree, new = folder / "tree", old.with_name(old.name.replace("-1~", "-2~"))
    subprocess.run(["dpkg-deb", "-R", old, tree], check=True)
    for name in ("control", "postinst"):
        file = tree / "DEBIAN" / name
        file.write_text(re.sub(r"(\d)-1~deb", r"\1-2~deb", file.read_text()))
    [words] = (tree / "usr/lib/nhip/program/lib").glob("python3.*/site-packages/words/manual.yaml")
    words.write_text(words.read_text() + "# an update\n")
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", tree, new], check=True, stdout=subprocess.DEVNULL
    )
    shutil.rmtree(tree)
    return new


@contextmanager
def simulated(folder):
    """A PLC on this computer's loopback, which the root shares; its port."""
    port = free_port()
    (folder / "factory.yaml").write_text(FACTORY.replace("PORT", str(port)))
    process = subprocess.Popen([sys.executable, "-m", "nhip", "simulate", str(folder / "factory.yaml")], cwd=CHECKOUT)
    try:
        eventually(lambda: answers(port))
        yield port
    finally:
        process.terminate()
        process.wait()


def version_of(package):
    return package.name.split("_")[1]


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
        with gateway.agent():
            gateway.run("nhip", "clock", "confirm", OUTBOX, "--yes", user="nhip")
            eventually(lambda: re.search(r"cnc-1.*\d ?%", gateway.run(*show, user="nhip")), 300, 1)
            assert "✗" not in gateway.run("nhip", "doctor")
    assert time.monotonic() - begun_s < 15 * 60
    assert gateway.waits()["waiting"] > 0


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
        pytest.skip("NHIP_PACKAGE is signed by somebody else")
    for file in (sums, sums.with_name("SHA256SUMS.minisig")):
        gateway.put(file)
    copied = gateway.put(new)
    assert "✓" in gateway.run("nhip", "verify", copied)
    with (gateway.folder / copied.lstrip("/")).open("r+b") as cut:
        cut.truncate(1_000_000)
    assert "cut short" in gateway.run("nhip", "verify", copied, code=1)


def test_dpkg_killed_during_updates_leaves_a_version_that_starts(gateway, packages):
    kept, found = gateway.waits(), set()
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
        used = re.search(r"^\* (\S+)$", gateway.run("/usr/lib/nhip/slots"), re.MULTILINE)[1]
        found.add(used)
        assert used in [version_of(package) for package in packages]
        gateway.run("nhip", "check", "--offline", "/etc/nhip/site.yaml")
        with gateway.agent():
            pass
        assert gateway.waits()["waiting"] >= kept["waiting"]
        gateway.run("dpkg", "-i", gateway.put(new))  # what the guide says
        assert f"* {version_of(new)}" in gateway.run("/usr/lib/nhip/slots")
    assert len(found) == 2


def test_going_back_needs_no_file(gateway, packages):
    before = re.search(r"^  (\S+)$", gateway.run("/usr/lib/nhip/slots"), re.MULTILINE)[1]
    gateway.run("/usr/lib/nhip/slots", "back")
    assert f"* {before}" in gateway.run("/usr/lib/nhip/slots")


def test_manual_and_completion_are_there(gateway, packages):
    assert (gateway.folder / "usr/share/bash-completion/completions/nhip").read_text().startswith("_nhip")
    done = subprocess.run(
        gateway.command(["env", "_NHIP_COMPLETE=bash_complete", "COMP_WORDS=nhip doc", "COMP_CWORD=1", "nhip"]),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.split() == ["plain,doctor"]


def test_removing_and_purging_keep_what_the_center_does_not_have(gateway, packages):
    kept = gateway.waits()
    assert "kept /var/lib/nhip" in gateway.run("dpkg", "--remove", "nhip-agent")
    assert not (gateway.folder / "opt/nhip").exists()
    assert not (gateway.folder / "usr/lib/nhip").exists()
    assert "kept /var/lib/nhip" in gateway.run("dpkg", "--purge", "nhip-agent")
    assert not (gateway.folder / "etc/default/nhip-agent").exists()
    gateway.run("dpkg", "-i", gateway.put(packages[0]))
    assert gateway.waits() == kept
    assert (gateway.folder / "etc/nhip/site.yaml").exists()
