"""The commands `nhip enroll`, `nhip revoke` and `nhip enrolled`. What they run is imported only when they are used."""

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from cli.exits import fail, fail_misconfigured
from cli.files import write_whole
from cli.options import json_option, lang_option
from cli.terminal import show_json

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from config import CenterFile

_center = click.argument("center", metavar="CENTER.yaml", type=click.Path(path_type=Path, dir_okay=False))


def _open(center: Path, lang: str) -> tuple["CenterFile", "Engine"]:
    from center.accounts.schema import open_accounts
    from center.contract.store import StoreUnavailable
    from center.model.complaints import misconfigured
    from config import Misconfigured, load_center
    from words import say

    try:
        settings = load_center(center)
        if settings.enrolment is None:
            raise misconfigured("enrolment", "", "no_enrolment")
        return settings, open_accounts(settings.database_url)
    except Misconfigured as error:
        fail_misconfigured(error, lang)
    except StoreUnavailable as error:
        fail(say("accounts.away", lang, detail=error), 1)


def _write_files(settings: "CenterFile", engine: "Engine", lang: str) -> str:
    """Writes all enrolled gateways into the broker's files; returns the message for the user."""
    from center.accounts.enroll.files import write_broker_files
    from center.accounts.enroll.gateways import enrolled
    from words import say

    assert settings.enrolment is not None  # checked by `_open`
    try:
        signalled = write_broker_files(settings.enrolment, enrolled(engine), settings.username)
    except OSError as error:
        _cannot_write(error.filename or settings.enrolment.passwords, error, lang)
    files = {"passwords": settings.enrolment.passwords, "rules": settings.enrolment.rules}
    return say("enroll.told" if signalled else "enroll.reload", lang, **files)


def _cannot_write(file: Any, error: OSError, lang: str) -> NoReturn:
    from words import say

    fail(say("enroll.cannot_write", lang, file=file, detail=error), 1)


@click.command("enroll")
@_center
@click.argument("site")
@click.argument("gateway", default="main")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@lang_option
def enroll_gateway(center: Path, site: str, gateway: str, out: Path | None, as_json: bool, lang: str) -> None:
    """Gives a gateway an account at the broker, and writes the one file that it needs.

    Repeated for the same gateway, it adds a new secret beside the old one, so that the gateway can switch without
    losing data.
    """
    from center.accounts.enroll.gateways import enroll
    from center.accounts.tokens import at_the_machine
    from words import say

    settings, engine = _open(center, lang)
    file = out or Path(f"{site}.{gateway}.bundle")
    try:
        authorities = _authorities(settings)
        secret, serial = enroll(engine, time.time_ns(), at_the_machine(), site, gateway)
        write_whole(file, _bundle(settings, site, gateway, secret, serial, authorities), 0o600)
    except ValueError:
        fail(say("enroll.bad_id", lang, what=f"{site}/{gateway}"[:80]), 2)
    except OSError as error:
        _cannot_write(error.filename or file, error, lang)
    message = _write_files(settings, engine, lang)
    if as_json:
        show_json({"site": site, "gateway": gateway, "serial": serial, "file": str(file)})
        return
    click.echo(say("enroll.done", lang, who=f"{site}/{gateway}", file=file))
    click.echo(message)
    if serial == 1:
        click.echo(say("enroll.next", lang, name=file.name))
    else:
        click.echo(say("enroll.again", lang, serial=serial, center=center, site=site, gateway=gateway))


def _authorities(settings: "CenterFile") -> str:
    assert settings.enrolment is not None  # checked by `_open`
    file = settings.enrolment.ca_file or settings.ca_file
    return Path(file).read_text(encoding="ascii") if file else ""


def _bundle(settings: "CenterFile", site: str, gateway: str, secret: str, serial: int, authorities: str) -> str:
    from config.bundle import Bundle, write_bundle
    from wire.topics import account

    assert settings.enrolment is not None  # checked by `_open`
    return write_bundle(
        Bundle(
            site=site,
            gateway=gateway,
            broker=settings.enrolment.broker or settings.broker,
            username=account(site, gateway, serial),
            password=secret,
            password_file="",
            ca_file="",
            certificate_file="",
            private_key_file="",
            serial=serial,
            ca=authorities,
        )
    )


@click.command("revoke")
@_center
@click.argument("site")
@click.argument("gateway", default="main")
@click.option("--old", is_flag=True)
@click.option("--force", is_flag=True)
@lang_option
def revoke_gateway(center: Path, site: str, gateway: str, old: bool, force: bool, lang: str) -> None:
    """Revokes a gateway's account at the broker, at once; or, after a new enrolment, its old secrets."""
    from center.accounts.enroll.gateways import NotEnrolled, enrolled, revoke
    from center.accounts.tokens import at_the_machine
    from words import say

    settings, engine = _open(center, lang)
    who = f"{site}/{gateway}"
    if old and not force:
        serials = [item.serial for item in enrolled(engine) if (item.site, item.gateway) == (site, gateway)]
        used = _serial_in_use(center, site, gateway)
        if serials and used != serials[-1]:
            fail(say("revoke.unseen", lang, who=who, serial=serials[-1], used=used or "?"), 1)
    try:
        revoke(engine, time.time_ns(), at_the_machine(), site, gateway, but_newest=old)
    except NotEnrolled:
        fail(say("revoke.nothing", lang, who=who), 1)
    message = _write_files(settings, engine, lang)
    click.echo(say("revoke.old_done" if old else "revoke.done", lang, who=who))
    click.echo(message)


def _serial_in_use(center: Path, site: str, gateway: str) -> int:
    """The secret that the gateway connected with last, by the running center's health; 0 if unknown."""
    from center.commands.connect import CannotReach, running_center
    from config import load_center

    with suppress(CannotReach, LookupError):
        running = running_center(load_center(center))
        if running is not None:
            matching = [row for row in running.request(f"/sites/{site}")["gateways"] if row["id"] == gateway]
            return int(matching[0]["health"].get("secret_serial", 0)) if matching and matching[0]["online"] else 0
    return 0


@click.command("enrolled")
@_center
@json_option
@lang_option
def list_enrolled(center: Path, as_json: bool, lang: str) -> None:
    """Lists the gateways that have an account at the broker."""
    from center.accounts.enroll.gateways import enrolled
    from words import say

    _, engine = _open(center, lang)
    rows = [
        {"site": item.site, "gateway": item.gateway, "serial": item.serial, "username": item.username, "revoked": item.revoked}
        for item in enrolled(engine)
    ]  # fmt: skip
    if as_json:
        show_json(rows)
        return
    for row in rows:
        state = say("enroll.revoked" if row["revoked"] else "enroll.valid", lang)
        click.echo(say("enroll.list", lang, who=row["username"], serial=row["serial"], state=state))


COMMANDS = (enroll_gateway, revoke_gateway, list_enrolled)
