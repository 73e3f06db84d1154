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
_ARM64 = (
    r":arm64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:OCF"
)
"""Programs for arm64, as binfmt_misc recognises them, and who runs them."""
_REGISTER = """
read -r mapped
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && printf %s "$1" > /proc/sys/fs/binfmt_misc/register && echo registered
read -r end
"""
_INSIDE = (
    "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "NHIP_LANG=en", "DEBIAN_FRONTEND=noninteractive",
)  # fmt: skip


class Root:
    """A computer with a minimal Debian and its Python. Its network is this computer's. within: words before every command."""

    def __init__(self, folder, within=()):
        self.folder, self.within = folder, within

    def command(self, words, user="root"):
        return [*self.within, "chroot", f"--userspec={user}:{user}", str(self.folder), *_INSIDE, *map(str, words)]

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
            eventually(lambda: ready.exists() or process.poll() is not None, 300)
            assert process.poll() is None, log.read_text()
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()
            ready.unlink(missing_ok=True)


@contextmanager
def fresh_root(folder, processor="amd64"):
    """A root of `DEBIAN` in this folder, which is empty afterwards. In memory, but for the outbox: that of a center takes 2 GB."""
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        pytest.skip("needs root and mmdebstrap: sudo apt-get install mmdebstrap")
    kept = CHECKOUT / "build" / f"debian{DEBIAN}-{processor}.tar"
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        part = kept.with_suffix(".part.tar")
        make = ["mmdebstrap", "--mode=root", f"--architectures={processor}", "--variant=minbase", "--include=python3"]
        with _processor(processor) as within:
            subprocess.run([*within, *make, _CODENAMES[DEBIAN], part], check=True)
        part.rename(kept)
    # in memory, since deleting it from a disk may take minutes
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "root", folder], check=True)
    try:
        subprocess.run(["tar", "-xf", kept, "-C", folder], check=True)
        (folder / "etc/dpkg/dpkg.cfg.d/fast").write_text("force-unsafe-io\n")  # SIGKILL loses no write
        disk, outbox = folder.with_name(f"{folder.name}-disk"), folder / "var/lib/nhip"
        for place in (disk, outbox):
            place.mkdir()
        subprocess.run(["mount", "--bind", disk, outbox], check=True)  # `nhip doctor` refuses one in memory
        (folder / "dev/shm").chmod(0o1777)  # semaphores of a center's processes
        subprocess.run(["mount", "-t", "proc", "proc", folder / "proc"], check=True)
        with _processor(processor) as within:
            yield Root(folder, within)
    finally:
        subprocess.run(["umount", "--recursive", folder], check=True)


@contextmanager
def _processor(name):
    """The words with which a command for this processor is run; QEMU plays another one.

    The kernel learns of QEMU in a user namespace, which ends with a process of ours: this computer stays as it is.
    """
    if name == "amd64":
        yield ()
        return
    if shutil.which("qemu-aarch64-static") is None or shutil.which("arch-test") is None:
        pytest.skip("needs QEMU: sudo apt-get install qemu-user-static arch-test")
    words = ["unshare", "--user", "--mount", "sh", "-c", _REGISTER, "sh", _ARM64]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        here = Path("/proc/self/ns/user").readlink()
        eventually(lambda: Path(f"/proc/{holder.pid}/ns/user").readlink() != here)
        for ids in ("uid_map", "gid_map"):
            Path(f"/proc/{holder.pid}/{ids}").write_text("0 0 65536\n")
        holder.stdin.write("mapped\n")
        holder.stdin.flush()
        if holder.stdout.readline() != "registered\n":
            pytest.skip("needs a kernel with binfmt_misc in user namespaces: Linux 6.7")
        yield ("nsenter", f"--target={holder.pid}", "--user", "--mount")
        holder.stdin.close()


def built(package, folder, *more, processor="amd64"):
    """The last commit's package for `DEBIAN`."""
    wanted = ["--package", package, "--debian", str(DEBIAN), "--processor", processor, "--out", folder, *more]
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
