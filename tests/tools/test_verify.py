"""`nhip verify`: keys and signatures of `scripts/sign`, of minisign and of signify, and all that may be wrong with a stick."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import nhip
from tools.verify import command
from words import LANGUAGES

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGE = "nhip-agent_0.2.0-1~deb12u1_arm64.deb"
COMMENT = "Nhip 0.2.0-1, commit 1234abcd"


def sign(*words, passphrase="a long sentence", code=0):
    env = os.environ | {"NHIP_SIGN_PASSPHRASE": passphrase}
    done = subprocess.run([sys.executable, CHECKOUT / "scripts" / "signing.py", *map(str, words)], env=env,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def verify(*words, code=0, lang="en"):
    found = CliRunner().invoke(nhip.main, ["verify", *map(str, words), "--lang", lang, "--json"])
    assert found.exit_code == code, found.output
    return json.loads(found.stdout)["files"][0] if code < 2 else found.output


def tool(name, *words):
    if shutil.which(name) is None:
        pytest.skip(f"needs {name}: scripts/packages")
    return subprocess.run([name, *map(str, words)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """The packager's key, and that of somebody else."""
    folder = tmp_path_factory.mktemp("keys")
    sign("new", folder / "packager")
    sign("new", folder / "stranger")
    return folder


@pytest.fixture
def stick(tmp_path, keys):
    """A package, its sums and their signature."""
    package = tmp_path / PACKAGE
    package.write_bytes(os.urandom(300_000))
    sums = tmp_path / "SHA256SUMS"
    sums.write_text(f"{hashlib.sha256(package.read_bytes()).hexdigest()}  {PACKAGE}\n{'0' * 64}  another.whl\n")
    sign("sums", keys / "packager", sums, "--comment", COMMENT)
    return tmp_path


def test_a_package_as_it_was_signed(stick, keys):
    found = verify(stick / PACKAGE, "--key", keys / "packager.pub")
    assert (found["verdict"], found["values"]) == ("fine", {"comment": COMMENT})


def test_the_installed_key_is_asked_without_an_option(stick, keys, monkeypatch):
    monkeypatch.setattr(command, "INSTALLED_KEY", keys / "packager.pub")
    assert verify(stick / PACKAGE)["verdict"] == "fine"
    monkeypatch.setattr(command, "INSTALLED_KEY", keys / "stranger.pub")
    assert verify(stick / PACKAGE, code=1)["verdict"] == "other_key"


def _altered(file):
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)


def _cut(file):
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)


def _with_number_of(file, ours):
    """The number that tells keys apart is no proof: anybody can write it."""
    lines = file.read_text().split("\n")
    raw, number = (base64.b64decode(line) for line in (lines[1], ours.split("\n")[1]))
    lines[1] = base64.b64encode(raw[:2] + number[2:10] + raw[10:]).decode()
    file.write_text("\n".join(lines))


WRONG = {
    "an altered package": (lambda folder: _altered(folder / PACKAGE), "different"),
    "a package cut short": (lambda folder: _cut(folder / PACKAGE), "different"),
    "no package": (lambda folder: (folder / PACKAGE).unlink(), "no_file"),
    "altered sums": (lambda folder: _altered(folder / "SHA256SUMS"), "forged"),
    "sums cut short": (lambda folder: _cut(folder / "SHA256SUMS"), "forged"),
    "a package of another release under this name": (
        lambda folder: (folder / PACKAGE).write_bytes(b"old"),
        "different",
    ),
    "no sums": (lambda folder: (folder / "SHA256SUMS").unlink(), "no_sums"),
    "a signature cut short": (lambda folder: _cut(folder / "SHA256SUMS.minisig"), "unreadable_signature"),
    "no signature": (lambda folder: (folder / "SHA256SUMS.minisig").unlink(), "no_signature"),
    "an altered comment": (lambda folder: _replaced(folder / "SHA256SUMS.minisig", "0.2.0", "0.3.0"), "forged"),
    "a file that the sums do not name": (
        lambda folder: _replaced_and_signed(folder, PACKAGE, "nhip-center.deb"),
        "unlisted",
    ),
}


def _replaced(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def _replaced_and_signed(folder, old, new):
    _replaced(folder / "SHA256SUMS", old, new)
    sign("sums", folder / "key", folder / "SHA256SUMS")


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_in_both_languages(stick, keys, what):
    shutil.copy(keys / "packager", stick / "key")
    spoil, verdict = WRONG[what]
    spoil(stick)
    texts = set()
    for lang in LANGUAGES:
        found = verify(stick / PACKAGE, "--key", keys / "packager.pub", code=1, lang=lang)
        assert found["verdict"] == verdict
        texts.add(found["text"])
        table = CliRunner().invoke(
            nhip.main, ["verify", str(stick / PACKAGE), "--key", str(keys / "packager.pub"), "--lang", lang]
        )
        assert (table.exit_code, "✗" in table.output) == (1, True)
    assert len(texts) == len(LANGUAGES)


def test_a_strangers_signature_names_both_keys(stick, keys):
    sign("sums", keys / "stranger", stick / "SHA256SUMS")
    found = verify(stick / PACKAGE, "--key", keys / "packager.pub", code=1)
    assert found["verdict"] == "other_key"
    for name in ("packager", "stranger"):
        assert (keys / f"{name}.pub").read_text().split("\n")[0].split()[-1] in found["text"]


def test_a_strangers_signature_under_the_packagers_number_is_forged(stick, keys):
    ours = (stick / "SHA256SUMS.minisig").read_text()
    sign("sums", keys / "stranger", stick / "SHA256SUMS")
    _with_number_of(stick / "SHA256SUMS.minisig", ours)
    assert verify(stick / PACKAGE, "--key", keys / "packager.pub", code=1)["verdict"] == "forged"


def test_one_wrong_file_among_several_is_enough(stick, keys):
    (stick / "another.whl").write_bytes(b"not that one")
    found = CliRunner().invoke(
        nhip.main,
        ["verify", str(stick / PACKAGE), str(stick / "another.whl"), "--key", str(keys / "packager.pub"), "--json"],
    )
    assert found.exit_code == 1
    assert [item["verdict"] for item in json.loads(found.stdout)["files"]] == ["fine", "different"]


@pytest.mark.parametrize(
    "content", [None, b"", b"untrusted comment: x\n", b"untrusted comment: x\nRWQ=\n", b"\xff\xfe"]
)
def test_without_a_public_key_nothing_is_judged(stick, content):
    file = stick / "some.pub"
    if content is not None:
        file.write_bytes(content)
    said = {verify(stick / PACKAGE, "--key", file, code=2, lang=lang) for lang in LANGUAGES}
    assert len(said) == len(LANGUAGES)
    assert all(str(file) in text for text in said)


# with others' tools


def test_minisign_and_signify_accept_what_is_signed_here(stick, keys):
    sums, key = stick / "SHA256SUMS", keys / "packager.pub"
    minisign = tool("minisign", "-V", "-m", sums, "-p", key)
    assert (minisign.returncode, COMMENT in minisign.stdout) == (0, True), minisign.stderr
    signify = tool("signify-openbsd", "-V", "-m", sums, "-p", key, "-x", f"{sums}.minisig")
    assert (signify.returncode, "Verified" in signify.stdout) == (0, True), signify.stderr
    _altered(sums)
    assert tool("minisign", "-V", "-m", sums, "-p", key).returncode != 0
    assert tool("signify-openbsd", "-V", "-m", sums, "-p", key, "-x", f"{sums}.minisig").returncode != 0


@pytest.mark.parametrize("form", [(), ("-l",)], ids=["hashed", "plain"])
def test_what_minisign_signed_is_accepted_here(stick, form):
    """A packager may keep a key of minisign's own."""
    key = stick / "own"
    assert tool("minisign", "-G", "-W", "-s", key, "-p", f"{key}.pub").returncode == 0
    assert tool("minisign", "-S", *form, "-s", key, "-m", stick / "SHA256SUMS", "-t", COMMENT).returncode == 0
    assert verify(stick / PACKAGE, "--key", f"{key}.pub")["values"] == {"comment": COMMENT}
    _altered(stick / "SHA256SUMS")
    assert verify(stick / PACKAGE, "--key", f"{key}.pub", code=1)["verdict"] == "forged"


# keys


def test_a_secret_key_is_closed_and_never_replaced(keys, tmp_path):
    assert (keys / "packager").stat().st_mode & 0o777 == 0o600
    assert "ENCRYPTED" in (keys / "packager").read_text()
    assert "there already" in sign("new", keys / "packager", code=2)
    assert "wrong" in sign("sums", keys / "packager", keys / "packager.pub", passphrase="another", code=2)


def test_one_key_and_content_give_one_signature(stick, keys):
    before = (stick / "SHA256SUMS.minisig").read_bytes()
    sign("sums", keys / "packager", stick / "SHA256SUMS", "--comment", COMMENT)
    assert (stick / "SHA256SUMS.minisig").read_bytes() == before
