"""Fresh roots of Debian, and packages to install there. No systemd runs in them: a service is started as its unit would.

NHIP_DEBIAN is the release (12 or 13). Roots are kept in build/, as mmdebstrap made them.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers import answers, eventually, free_port

CHECKOUT = Path(__file__).resolve().parents[2]
DEBIAN = int(os.environ.get("NHIP_DEBIAN", "12"))
UNLOCKED = os.environ | {"NHIP_SIGN_PASSPHRASE": "of a test"}
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
_CODENAMES = {12: "bookworm", 13: "trixie"}
_INSIDE = (
    "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "NHIP_LANG=en", "DEBIAN_FRONTEND=noninteractive",
)  # fmt: skip


class Root:
    """A computer with a minimal Debian and its Python. Its network is this computer's."""

    def __init__(self, folder):
        self.folder = folder

    def command(self, words, user="root"):
        return ["chroot", f"--userspec={user}:{user}", str(self.folder), *_INSIDE, *map(str, words)]

    def run(self, *words, user="root", code=0):
        done = subprocess.run(self.command(words, user), capture_output=True, text=True)
        assert code is None or done.returncode == code, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def put(self, file):
        shutil.copy(file, self.folder / "root")
        return f"/root/{file.name}"

    def slot(self):
        """The version in use."""
        return re.search(r"^\* (\S+)$", self.run("/usr/lib/nhip/slots"), re.MULTILINE)[1]

    def update(self, version, *units):
        """What a package's `postinst` does with another program that dpkg has unpacked, quicker than dpkg. units: on trial."""
        other = "sed -i '$a # another version' /usr/lib/nhip/program/lib/python3.*/site-packages/words/manual.yaml"
        self.run("sh", "-c", other)
        self.run("/usr/lib/nhip/slots", "add", version, *units)
        assert self.slot() == version

    @contextmanager
    def service(self, unit):
        """The unit's process, from when it is ready until it has ended in order."""
        text = (self.folder / f"usr/lib/systemd/system/{unit}.service").read_text()
        words = re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)[1].split()
        ready, log = self.folder / "var/lib/nhip/ready", self.folder / f"root/{unit}.log"
        inside = ["sh", "-c", 'cd /var/lib/nhip && exec "$@"', "sh", *words, "--ready-file", "/var/lib/nhip/ready"]
        with log.open("ab") as out:
            process = subprocess.Popen(self.command(inside, "nhip"), stdout=out, stderr=out)
        try:
            eventually(lambda: ready.exists() or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()
            ready.unlink(missing_ok=True)


@contextmanager
def fresh_root(folder):
    """A root of `DEBIAN` in this folder, which is empty afterwards."""
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        pytest.skip("needs root and mmdebstrap: sudo apt-get install mmdebstrap")
    kept = CHECKOUT / "build" / f"debian{DEBIAN}.tar"
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        part = kept.with_suffix(".part.tar")
        subprocess.run(["mmdebstrap", "--variant=minbase", "--include=python3", _CODENAMES[DEBIAN], part], check=True)
        part.rename(kept)
    subprocess.run(["tar", "-xf", kept, "-C", folder], check=True)
    (folder / "etc/dpkg/dpkg.cfg.d/fast").write_text("force-unsafe-io\n")  # SIGKILL loses no write
    (folder / "dev/shm").chmod(0o1777)  # semaphores of a center's processes
    subprocess.run(["mount", "-t", "proc", "proc", folder / "proc"], check=True)
    try:
        yield Root(folder)
    finally:
        subprocess.run(["umount", folder / "proc"], check=True)
        shutil.rmtree(folder)


def built(package, folder, *more):
    """The last commit's package for this processor and `DEBIAN`."""
    wanted = ["--package", package, "--debian", str(DEBIAN), "--processor", "amd64", "--out", folder, *more]
    subprocess.run([CHECKOUT / "scripts" / "package", *wanted], env=UNLOCKED, check=True)
    [file] = folder.glob(f"{package}_*.deb")
    return file


def update_of(old, folder):
    """The same package with another version, and a file that says it."""
    tree, new = folder / "tree", folder / old.name.replace("-1~", "-2~")
    subprocess.run(["dpkg-deb", "-R", old, tree], check=True)
    for name in ("control", "postinst"):
        file = tree / "DEBIAN" / name
        file.write_text(re.sub(r"(\d)-1~deb", r"\1-2~deb", file.read_text()))
    [words] = (tree / "usr/lib/nhip/program/lib").glob("python3.*/site-packages/words/manual.yaml")
    words.write_text(words.read_text() + "# an update\n")
    build = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", tree, new]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return new


def version_of(package):
    return package.name.split("_")[1]


@contextmanager
def simulated(folder):
    """A PLC on this computer's loopback; its port."""
    port = free_port()
    (folder / "factory.yaml").write_text(FACTORY.replace("PORT", str(port)))
    process = subprocess.Popen([sys.executable, "-m", "nhip", "simulate", str(folder / "factory.yaml")], cwd=CHECKOUT)
    try:
        eventually(lambda: answers(port))
        yield port
    finally:
        process.terminate()
        process.wait()
