"""Writes enrolled gateways into Mosquitto's files and has the broker reload them."""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from center.accounts.enroll.gateways import Enrolled
from center.accounts.enroll.mosquitto import passwords_text, rules_text
from cli.files import replacing
from config.center import Enrolment
from wire.topics import center_rules, gateway_rules


def write_broker_files(settings: Enrolment, enrolled: Iterable[Enrolled], center: str = "") -> bool:
    """Writes both files and has the broker reload them. center: the center's own account, whose rules are written too.

    Returns whether the broker was signalled (a pid file is configured and names it). Repeating it changes nothing.
    Raises `OSError` where a file cannot be read or written; each file is replaced completely or not at all.
    """
    secrets = list(enrolled)
    valid = [item for item in secrets if not item.revoked]
    revoked = [item.username for item in secrets if item.revoked]
    rules = {item.username: gateway_rules(item.site, item.gateway, item.serial) for item in valid}
    if center:
        rules[center] = center_rules(center)
    passwords, access = Path(settings.passwords), Path(settings.rules)
    # rules first: an account without rules may publish nothing, and one without a password cannot connect
    _replace(access, rules_text(_text(access), rules, revoked))
    _replace(passwords, passwords_text(_text(passwords), {item.username: item.hash for item in valid}, revoked))
    return _signalled(settings.pid_file)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _replace(path: Path, text: str) -> None:
    """Keeps owner and mode; a new file gets the owner of its folder, so that the broker can read it."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    owner, mode = (path.stat(), path.stat().st_mode & 0o777) if path.exists() else (path.parent.stat(), 0o640)
    with replacing(path, mode) as file:
        file.write(text.encode())
        os.fchmod(file.fileno(), mode)
        with suppress(PermissionError):  # only root can change the owner
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)


def _signalled(pid_file: str) -> bool:
    """Sends SIGHUP to the broker, if the process of the pid file is one."""
    try:
        pid = int(Path(pid_file).read_text(encoding="ascii")) if pid_file else 0
        if pid <= 1 or "mosquitto" not in Path(f"/proc/{pid}/comm").read_text(encoding="utf-8"):
            return False
        os.kill(pid, signal.SIGHUP)
    except (OSError, ValueError):
        return False
    return True
