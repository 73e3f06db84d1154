"""Builds from the last commit what is handed out: the wheel, `nhip-agent` and `nhip-center` for Debian, SHA256SUMS
and its signature.

The same commit, lock of versions and interpreters give the same bytes: every time is the commit's (SOURCE_DATE_EPOCH), every
file belongs to root, archives are sorted (dpkg-deb does that). Wheels are unpacked and never run, so that one machine
builds for every processor. Design note 26 has the reasons.
"""

import argparse
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from scripts.signing import NoKey, public_text, read_secret, sign  # noqa: E402
from scripts.slim import slim  # noqa: E402
from tools.verify.minisign import read_public_key  # noqa: E402

PROGRAM: Final = Path("usr/lib/nhip/program")
"""Where a package has its environment; `slots` makes a slot of it in /opt/nhip."""
PYTHONS: Final = {12: "3.11", 13: "3.13"}
GLIBCS: Final = {12: 36, 13: 41}
"""Debian's Python and the minor number of its C library 2.x."""
PUBLIC_KEY: Final = "packager.pub"
"""In the environment: the version that runs judges the next one by it (`nhip verify`)."""
PROCESSORS: Final = {"amd64": "x86_64", "arm64": "aarch64"}
UNITS: Final = {
    "nhip-agent": {"nhip-agent": "site.yaml"},
    "nhip-center": {"nhip-agent": "site.yaml", "nhip-center": "center.yaml"},
}
"""Packages, their units, and the file without which a unit does not start. A center may have machines of its own."""
EXTRAS: Final = {"nhip-agent": "agent", "nhip-center": "agent,center"}
_DOWNLOAD: Final = ("-m", "pip", "download", "-q", "--disable-pip-version-check")
_DEPENDS: Final = "python3 (>= {python}~), python3 (<< {next}~), libc6 (>= 2.28), libstdc++6, passwd"
_DESCRIPTION: Final = {
    "nhip-agent": (
        "factory production monitoring: agent for a gateway",
        "Reads PLCs over Modbus and OPC UA, works out machine states, losses and OEE, and delivers them losing nothing.",
    ),
    "nhip-center": (
        "factory production monitoring: center and agent",
        "Receives what the agents of many factories send, stores and shows it. Contains the agent too.",
    ),
}


@dataclass(frozen=True)
class Target:
    """One file to build. debian: its release; processor: as Debian calls it."""

    package: str
    debian: int
    processor: str

    @property
    def python(self) -> str:
        """Debian's own Python, as `3.11`."""
        return PYTHONS[self.debian]

    def version(self, upstream: str, revision: str) -> str:
        """The version in Debian's form: an upgrade of Debian sorts after the file of the older Debian."""
        return f"{upstream}-{revision}~deb{self.debian}u1"

    def tags(self) -> list[str]:
        """Options that have pip choose wheels for this target, whatever machine it runs on."""
        minor, machine = self.python.replace(".", ""), PROCESSORS[self.processor]
        platforms = [f"manylinux_2_{number}_{machine}" for number in range(5, GLIBCS[self.debian] + 1)]
        found = ["--only-binary=:all:", "--implementation=cp", f"--python-version={self.python}"]
        found += [f"--abi={abi}" for abi in (f"cp{minor}", "abi3", "none")]
        return found + [f"--platform={name}" for name in (*platforms, f"manylinux2014_{machine}")]


@dataclass(frozen=True)
class Build:
    """What all targets share. source: the commit's files; newest: pip chooses the libraries, not the lock of the commit;
    public_key: as minisign writes it, "" without one.
    """

    source: Path
    wheel: Path
    pages: Path
    upstream: str
    revision: str
    compress: str
    newest: bool
    public_key: str


def main() -> int:
    """Exit status 0, or that of the tool that failed; its own words are on the error stream."""
    options = _options()
    os.umask(0o022)
    try:
        secret = read_secret(options.key) if options.key else None
    except NoKey as error:
        raise SystemExit(str(error)) from None
    public = options.public_key.read_text(encoding="utf-8") if options.public_key else ""
    if public:
        read_public_key(public)
    elif secret:
        public = public_text(secret)
    commit_s = _said("git", "log", "-1", "--format=%ct", "HEAD")
    os.environ.setdefault("SOURCE_DATE_EPOCH", commit_s)
    targets = [
        Target(package, debian, processor)
        for debian in options.debian
        for processor in options.processor
        for package in options.package
    ]
    out: Path = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nhip-package-") as temporary:
        folder = Path(temporary)
        build = _prepare(folder, out, options, public)
        made = [build.wheel]
        for target in targets:
            made.append(
                _package(target, build, folder / "-".join((target.package, str(target.debian), target.processor)), out)
            )
            print(f"{made[-1].stat().st_size / 1e6:7.1f} MB  {made[-1].name}", flush=True)
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(made))
    (out / "SHA256SUMS").write_text(sums, encoding="utf-8")
    (out / "SHA256SUMS.minisig").unlink(missing_ok=True)
    print(out / "SHA256SUMS")
    if secret:
        comment = f"Nhip {build.upstream}-{build.revision}, {_commit_day()}, commit {_said('git', 'rev-parse', 'HEAD')}"
        print(sign(out / "SHA256SUMS", secret, comment))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for the files (dist/)")
    parser.add_argument("--package", action="append", choices=UNITS)
    parser.add_argument("--debian", action="append", type=int, choices=PYTHONS)
    parser.add_argument("--processor", action="append", choices=PROCESSORS)
    parser.add_argument("--revision", default="1", help="of the package, for the same version of Nhịp (1)")
    parser.add_argument(
        "--compress", default="xz", choices=("xz", "gzip", "none"), help="gzip builds ten times as fast"
    )
    parser.add_argument(
        "--newest",
        action="store_true",
        help="libraries as pip chooses them today, not as deploy/locks/ of the commit says",
    )
    parser.add_argument(
        "--key", type=Path, help="secret key that signs SHA256SUMS; its public key goes into the packages"
    )
    parser.add_argument(
        "--public-key", type=Path, help="another public key for the packages: signed elsewhere, or the next one"
    )
    options = parser.parse_args()
    options.package = options.package or list(UNITS)
    options.debian = options.debian or list(PYTHONS)
    options.processor = options.processor or list(PROCESSORS)
    return options


def _prepare(folder: Path, out: Path, options: argparse.Namespace, public_key: str) -> Build:
    """The commit's files, and what is made of them for all targets."""
    source, pages = folder / "source", folder / "pages"
    source.mkdir()
    archive = subprocess.run(
        ["git", "-c", "tar.umask=022", "archive", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, check=True
    ).stdout
    subprocess.run(["tar", "-x", "-C", source], input=archive, check=True)
    _run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", out, source)
    _run(sys.executable, source / "scripts" / "command_pages.py", pages, env={"PYTHONPATH": str(source)})
    upstream = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    wheel = out / f"nhip-{upstream}-py3-none-any.whl"
    return Build(source, wheel, pages, upstream, options.revision, options.compress, options.newest, public_key)


def _package(target: Target, build: Build, folder: Path, out: Path) -> Path:
    tree, wheels = folder / "tree", folder / "wheels"
    (tree / "DEBIAN").mkdir(parents=True)
    _download(target, build, wheels)
    _environment(target, build, wheels, tree / PROGRAM)
    version = target.version(build.upstream, build.revision)
    words = {"PACKAGE": target.package, "UNITS": " ".join(UNITS[target.package]), "VERSION": version}
    _system_files(target, build, tree, words)
    _control_files(target, build, tree, words)
    file = out / f"{target.package}_{version}_{target.processor}.deb"
    _run("dpkg-deb", "--root-owner-group", f"-Z{build.compress}", "--build", tree, file)
    shutil.rmtree(folder)
    return file


def _download(target: Target, build: Build, wheels: Path) -> None:
    """Fills the folder with the wheels of Nhịp and of all that it needs: what the locks say and nothing else, unless `newest`."""
    if build.newest:
        asks = [[f"{build.wheel}[{EXTRAS[target.package]}]"]]
    else:
        locks = (build.source / "deploy/locks" / f"{extra}.txt" for extra in EXTRAS[target.package].split(","))
        asks = [["--no-deps", "--require-hashes", "--requirement", str(lock)] for lock in locks]
    for asked in asks:
        _run(sys.executable, *_DOWNLOAD, "-d", wheels, *target.tags(), *asked)
    shutil.copy(build.wheel, wheels)


def _environment(target: Target, build: Build, wheels: Path, program: Path) -> None:
    """A virtual environment over Debian's Python, written by hand: neither pip nor python3-venv is needed where it runs."""
    libraries = program / "lib" / f"python{target.python}" / "site-packages"
    libraries.mkdir(parents=True)
    for wheel in sorted(wheels.glob("*.whl")):
        _unpack(wheel, libraries)
    slim(libraries, target.package, PROCESSORS[target.processor])
    commands = program / "bin"
    commands.mkdir()
    (commands / "python3").symlink_to(f"/usr/bin/python{target.python}")
    shutil.copy(build.source / "deploy/debian/nhip", commands / "nhip")
    shutil.copy(build.source / "deploy/debian/nhip.py", commands / "nhip.py")
    if build.public_key:
        (program / PUBLIC_KEY).write_text(build.public_key, encoding="utf-8")
    (program / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {target.python}.0\n", encoding="utf-8"
    )
    interpreter = _interpreter(target.python)
    if interpreter:  # else the machine that it is installed on compiles it
        where = f"/opt/nhip/{target.version(build.upstream, build.revision)}"
        compiler = build.source / "scripts/byte_code.py"
        more = ["--without-docstrings"] if target.package == "nhip-agent" else []
        python = (
            interpreter,
            "-I",
            "-X",
            "no_debug_ranges",
        )  # tracebacks have lines, not columns: a tenth smaller, on disk and in memory
        _run(*python, compiler, program / "lib", f"{where}/lib", *more, env={"PYTHONHASHSEED": "0"})


def _interpreter(version: str) -> str | None:
    """A Python of this version, "3.11" for example; None without one. Asked, since a version manager answers for absent ones."""
    found = shutil.which(f"python{version}")
    return found if found and subprocess.run([found, "-V"], capture_output=True, check=False).returncode == 0 else None


def _unpack(wheel: Path, libraries: Path) -> None:
    """As `pip install --target`, without scripts: nothing of a library stands in anybody's PATH."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(libraries)
    for data in libraries.glob("*.data"):
        for kind in ("purelib", "platlib"):
            if (data / kind).is_dir():
                shutil.copytree(data / kind, libraries, dirs_exist_ok=True)
        shutil.rmtree(data)


def _system_files(target: Target, build: Build, tree: Path, words: Mapping[str, str]) -> None:
    deploy = build.source / "deploy"
    units = tree / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for unit, file in UNITS[target.package].items():
        shutil.copy(deploy / "systemd" / f"{unit}.service", units)
        more = _filled(deploy / "debian/service.conf", {**words, "UNIT": unit, "FILE": file})
        _write(units / f"{unit}.service.d" / "package.conf", more)
    if target.package == "nhip-center":
        for unit in ("nhip-broker.path", "nhip-broker.service"):
            shutil.copy(deploy / "systemd" / unit, units)
        for name in ("center.yaml", "mosquitto", "proxy"):
            _copy(deploy / name, tree / f"usr/share/doc/{target.package}/examples" / name)
    else:
        _copy(build.source / "config/examples", tree / f"usr/share/doc/{target.package}/examples")
    shutil.copy(deploy / "debian/slots", tree / "usr/lib/nhip/slots")
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/nhip").symlink_to("/opt/nhip/bin/nhip")
    _write(tree / "etc/default" / target.package, (deploy / "debian/default").read_text(encoding="utf-8"))
    _copy(build.pages / "nhip.bash", tree / "usr/share/bash-completion/completions/nhip")
    _copy(build.pages / "nhip.zsh", tree / "usr/share/zsh/vendor-completions/_nhip")
    documents = tree / "usr/share/doc" / target.package
    _compressed(build.source / "CHANGELOG.md", documents / "changelog.gz")
    _compressed(build.pages / "nhip.1", tree / "usr/share/man/man1/nhip.1.gz")
    _compressed(build.pages / "nhip.vi.1", tree / "usr/share/man/vi/man1/nhip.1.gz")
    _copy(deploy / "debian/copyright", documents / "copyright")
    overrides = _filled(deploy / "debian/lintian-overrides", words)
    _write(tree / "usr/share/lintian/overrides" / target.package, overrides)
    history = f"{target.package} ({words['VERSION']}) stable; urgency=medium\n\n  * See changelog.gz.\n\n -- {_maintainer()}  {_commit_day()}\n"
    _write(folder := documents / "changelog.Debian", history)
    _compressed(folder, documents / "changelog.Debian.gz")
    folder.unlink()


def _control_files(target: Target, build: Build, tree: Path, words: Mapping[str, str]) -> None:
    for script in ("preinst", "postinst", "prerm", "postrm"):
        _write(tree / "DEBIAN" / script, _filled(build.source / "deploy/debian" / script, words))
        (tree / "DEBIAN" / script).chmod(0o755)
    _write(tree / "DEBIAN/conffiles", f"/etc/default/{target.package}\n")
    files = sorted(path for path in _files(tree) if path.relative_to(tree).parts[0] not in ("DEBIAN", "etc"))
    sums = "".join(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}\n" for path in files)
    _write(tree / "DEBIAN/md5sums", sums)
    summary, more = _DESCRIPTION[target.package]
    major, minor = target.python.split(".")
    fields = {
        "Package": target.package,
        "Version": words["VERSION"],
        "Architecture": target.processor,
        "Maintainer": _maintainer(),
        "Installed-Size": str(sum(path.stat().st_size // 1024 + 1 for path in _files(tree))),
        "Depends": _DEPENDS.format(python=target.python, next=f"{major}.{int(minor) + 1}"),
        "Section": "misc",
        "Priority": "optional",
        "Homepage": "https://github.com/nhip/nhip",
    }
    if target.package == "nhip-center":
        fields |= dict.fromkeys(("Provides", "Conflicts", "Replaces"), "nhip-agent") | {"Recommends": "mosquitto"}
    else:
        fields |= {"Conflicts": "nhip-center", "Replaces": "nhip-center"}
    text = "".join(f"{name}: {value}\n" for name, value in fields.items())
    lines = "\n ".join(textwrap.wrap(more, 78))
    _write(tree / "DEBIAN/control", f"{text}Description: {summary}\n {lines}\n")


def _files(tree: Path) -> Iterator[Path]:
    return (path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())


def _maintainer() -> str:
    return "Nhip authors <nhip@example.org>"


def _commit_day() -> str:
    return _said("date", "-u", "-R", "-d", f"@{os.environ['SOURCE_DATE_EPOCH']}")


def _filled(file: Path, words: Mapping[str, str]) -> str:
    text = file.read_text(encoding="utf-8")
    for name, value in words.items():
        text = text.replace(f"@{name}@", value)
    return text


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)


def _compressed(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(source.read_bytes(), 9, mtime=0))


def _run(*command: object, env: Mapping[str, str] | None = None) -> None:
    words = [str(part) for part in command]
    done = subprocess.run(words, env=os.environ | dict(env or {}), stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def _said(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
