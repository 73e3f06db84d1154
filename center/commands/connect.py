"""A center as commands use it: through its HTTP API on loopback while it runs, otherwise by opening its store."""

import ipaddress
import json
import os
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from http.client import HTTPException
from pathlib import Path, PurePath
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import BaseHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from center.accounts.audit import record, record_decision, record_deletion
from center.accounts.schema import open_accounts
from center.accounts.tokens import at_the_machine, pass_for
from center.database.sql import PRIVATE, open_database, writing
from center.ingest import manual_import
from center.ingest.boxes import DECISIONS
from center.ingest.mqtt import BrokerSettings
from center.ingest.settle import StillNamed
from center.ingest.worker import Ingest
from center.model.viewer import EVERYTHING
from center.runtime.state import CenterState
from cli.files import part_of, replacing
from config import CenterFile, load_center
from wire.offline_transfer import TransferItem, pack_item

_WAIT_S: Final = 90.0
_COPY_S: Final = 1800.0
_STILL_NAMED: Final = 409
TOKEN: Final = "NHIP_TOKEN"  # noqa: S105  # the name of an environment variable


class CannotReach(Exception):
    """key: message key of the reason; values: its placeholders."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(f"{key} {values}")
        self.key, self.values = key, values


class CannotSave(Exception):
    """A file could not be written on this machine; the message says which and why."""


@contextmanager
def _saving(path: Path) -> Iterator[None]:
    """Turns errors of this machine's disk into `CannotSave`, naming the file."""
    try:
        yield
    except OSError as error:
        raise CannotSave(f"{path}: {error.strerror or error}") from error


def _chunks(url: str, answer: Any) -> Iterator[bytes]:
    """The body of a response. Raises `CannotReach`."""
    try:
        while chunk := answer.read(2**20):
            yield chunk
    except (HTTPException, OSError, ValueError) as error:
        raise CannotReach("hand.silent", url=url, detail=error) from error


class RunningCenter:
    """A running center, through its API."""

    def __init__(self, url: str, secret: str = "", certificate: str = "") -> None:
        """secret: sent as bearer token; certificate: the center's own (PEM); its name is not checked."""
        handlers: list[BaseHandler] = [ProxyHandler({})]  # loopback: ignore proxies of the environment
        if certificate:
            context = ssl.create_default_context(cafile=certificate)
            context.check_hostname = False
            handlers.append(HTTPSHandler(context=context))
        self._open = build_opener(*handlers)
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {secret}"} if secret else {}

    def request(self, path: str, body: bytes | None = None, content_type: str = "application/json") -> Any:
        """The JSON of a response. Raises `CannotReach`, or `LookupError` for a 404."""
        with self._response(path, body, content_type) as answer:
            return json.loads(answer.read())

    def save(self, part: str, folder: Path) -> Path:
        """Saves a part of the backup in the folder.

        Raises `CannotReach`, `CannotSave`, or `LookupError` where another server keeps it.
        """
        with self._response(f"/backup/{part}", wait_s=_COPY_S) as answer:
            target = folder / PurePath(answer.headers.get_filename() or part).name
            with _saving(target), replacing(target, 0o600) as file:
                for chunk in _chunks(self.url, answer):
                    file.write(chunk)
                if file.tell() != int(answer.headers.get("Content-Length", file.tell())):
                    raise CannotReach("hand.silent", url=self.url, detail="the copy was interrupted")
        return target

    @contextmanager
    def _response(
        self,
        path: str,
        body: bytes | None = None,
        content_type: str = "application/json",
        wait_s: float = _WAIT_S,
        method: str | None = None,
    ) -> Iterator[Any]:
        headers = {"Content-Type": content_type, **self._headers}
        request = Request(f"{self.url}/api/v1{path}", body, headers, method=method)  # noqa: S310  # http, loopback
        try:
            with self._open.open(request, timeout=wait_s) as answer:
                yield answer
        except HTTPError as error:
            detail = _detail(error.read())
            if error.code == 404:
                raise LookupError(detail) from error
            raise CannotReach("hand.refused", url=self.url, status=error.code, detail=detail) from error
        except (URLError, HTTPException, OSError, ValueError) as error:
            raise CannotReach("hand.silent", url=self.url, detail=getattr(error, "reason", error)) from error

    def settled_marks(self, site: str, gateway: str) -> dict[str, int]:
        """Each stream's mark."""
        with suppress(LookupError):
            rows = self.request(f"/delivery?site={quote(site)}")["rows"]
            return {row["stream"]: row["mark"] for row in rows if row["gateway"] == gateway}
        return {}

    def import_envelopes(self, site: str, gateway: str, items: Sequence[TransferItem]) -> manual_import.ImportCounts:
        """Sends envelopes of one gateway."""
        lines = b"".join(pack_item(item) for item in items)
        query = f"?site={quote(site)}&gateway={quote(gateway)}"
        return manual_import.ImportCounts(**self.request(f"/envelopes{query}", lines, "application/x-ndjson"))

    def quarantined(self) -> list[dict[str, Any]]:
        """Quarantined payloads, newest first."""
        rows: list[dict[str, Any]] = self.request("/quarantine?limit=100000")["rows"]
        return rows

    def show(self, number: int) -> dict[str, Any]:
        """One quarantined payload. Raises `LookupError`."""
        payload: dict[str, Any] = self.request(f"/quarantine/{number}")
        return payload

    def replay(self, number: int) -> dict[str, Any]:
        """Retries a quarantined payload. Raises `LookupError`."""
        outcome: dict[str, Any] = self.request(f"/quarantine/{number}/replay", b"{}")
        return outcome

    def decide(self, act: str, site: str, gateway: str, stream: str) -> dict[str, Any]:
        """Accepts or discards what waits of held streams. Raises `LookupError` if nothing does."""
        query = f"?stream={quote(stream)}" if stream else ""
        path = f"/quarantine/{quote(site, safe='')}/{quote(gateway, safe='')}/{act}{query}"
        outcome: dict[str, Any] = self.request(path, b"{}")
        return outcome

    def delete_machine(self, site: str, machine: str) -> None:
        """Deletes a retired machine's rows. Raises `LookupError` or `StillNamed`."""
        path = f"/machines/{quote(machine, safe='')}?site={quote(site)}"
        try:
            with self._response(path, method="DELETE"):
                return
        except CannotReach as error:
            if error.values.get("status") == _STILL_NAMED:
                raise StillNamed(str(error.values["detail"])) from error
            raise

    def close(self) -> None:
        """Nothing to free."""


def content_from(center: RunningCenter, path: str) -> bytes:
    """The bytes of a response. Raises `CannotReach`, or `LookupError` for a 404."""
    with center._response(path) as answer:  # noqa: SLF001  # beside it
        return b"".join(_chunks(center.url, answer))


def machines_of(center: "RunningCenter | StoppedCenter") -> list[dict[str, Any]]:
    """All machines of all sites."""
    if isinstance(center, RunningCenter):
        known = [site["id"] for site in center.request("/sites")]
        return [row for site in known for row in center.request(f"/machines?site={quote(site)}")]
    from center.queries import sites  # heavy imports, for one command only

    found = sites.sites(center.state, EVERYTHING)
    return [dict(row) for site in found for row in sites.machines(center.state, EVERYTHING, site["id"])]


class StoppedCenter:
    """A center that does not run: its store is opened here, without MQTT. state: its parts; settings: its file."""

    def __init__(self, center: CenterState, close: Any, settings: CenterFile) -> None:
        self.state, self._close, self.settings = center, close, settings
        self._ingest = Ingest(
            center, BrokerSettings("", 0), patient=False
        )  # never connected: receipts are sent at the next start of the center

    def settled_marks(self, site: str, gateway: str) -> dict[str, int]:
        """Each stream's mark."""
        return {
            key.stream: record.marks.mark for key, record in self.state.ledger_cache.of_gateway(site, gateway).items()
        }

    def import_envelopes(self, site: str, gateway: str, items: Sequence[TransferItem]) -> manual_import.ImportCounts:
        """Settles envelopes of one gateway."""
        self._enter("envelopes.imported", f"{site}/{gateway}")
        return manual_import.import_envelopes(self.state, self._ingest, site, gateway, items)

    def quarantined(self) -> list[dict[str, Any]]:
        """Quarantined payloads, newest first."""
        from center.queries.quarantine import quarantine  # heavy imports, for one command only

        return [dict(row) for row in quarantine(self.state, EVERYTHING, limit=100_000)["rows"]]

    def show(self, number: int) -> dict[str, Any]:
        """One quarantined payload. Raises `LookupError`."""
        from center.queries.quarantine import quarantined_payload  # as above

        return dict(quarantined_payload(self.state, EVERYTHING, number))

    def replay(self, number: int) -> dict[str, Any]:
        """Retries a quarantined payload. Raises `LookupError`."""
        self._enter("quarantine.replayed", str(number))
        return manual_import.replay_payload(self._ingest.settler.replay, number)

    def decide(self, act: str, site: str, gateway: str, stream: str) -> dict[str, Any]:
        """Accepts or discards what waits of held streams. Raises `LookupError` if nothing does."""
        engine = open_accounts(self.settings.database_url)

        def enter() -> None:
            record_decision(engine, self.state.now_ns(), at_the_machine(), act, f"{site}/{gateway}", stream)

        return asdict(DECISIONS[act](self.state, self._ingest.settler, site, gateway, stream, enter))

    def delete_machine(self, site: str, machine: str) -> None:
        """Deletes a retired machine's rows. Raises `LookupError`, `StillNamed`, `StoreRefused` or `StoreUnavailable`."""
        engine = open_accounts(self.settings.database_url)

        def enter() -> None:
            record_deletion(engine, self.state.now_ns(), at_the_machine(), site, machine)

        self._ingest.settler.forget_machine(site, machine, enter)

    def save(self, part: str, folder: Path) -> Path:
        """Saves a part of the backup in the folder. Raises `CannotCopy`, `OSError`, `StoreUnavailable` or `LookupError`."""
        from center.runtime.backup import copy_part, file_of  # the store's library only where it is used

        engine = open_database(self.settings.database_url)
        target = folder / file_of(part, self.state, engine).name
        self._enter("backup.downloaded", part)
        with part_of(target) as written:
            copy_part(part, self.state, engine, written)
        return target

    def _enter(self, what: str, about: str) -> None:
        """Enters into the audit trail what is about to be done."""
        engine = open_accounts(self.settings.database_url)
        with writing(engine) as connection:
            record(connection, self.state.now_ns(), at_the_machine(), what, about)
        engine.dispose()

    def close(self) -> None:
        """Closes store and ledger."""
        self._close(self.state)


def connect(where: str) -> RunningCenter | StoppedCenter:
    """The center at a URL, or of a center's file: through its API if it runs, else by opening its store.

    Raises `CannotReach` or `Misconfigured`.
    """
    if "://" in where:
        if not _is_loopback(urlsplit(where).hostname or ""):
            raise CannotReach("hand.not_loopback", url=where)
        return RunningCenter(where, os.environ.get(TOKEN, ""))
    settings = load_center(Path(where))
    running = running_center(settings)
    if running is not None:
        return running
    os.umask(PRIVATE)
    from center.runtime.opening import close_center, open_center  # the store's library only where it is opened

    return StoppedCenter(open_center(settings), close_center, settings)


def running_center(settings: CenterFile) -> RunningCenter | None:
    """The center of a file if it runs; None where it does not answer."""
    host = settings.listen_host.strip("[]")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # read, not bound
    with suppress(CannotReach, LookupError):
        secret = pass_for(open_accounts(settings.database_url)) if settings.accounts == "on" else ""
        scheme, certificate = ("https", settings.https.certificate) if settings.https else ("http", "")
        address = f"{f'[{host}]' if ':' in host else host}:{settings.listen_port}"
        running = RunningCenter(f"{scheme}://{address}", secret, certificate)
        if isinstance(health := running.request("/health"), dict) and "generation" in health:
            return running
    return None


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _detail(body: bytes) -> str:
    with suppress(ValueError, TypeError, KeyError):
        return str(json.loads(body)["detail"])
    return body[:200].decode(errors="replace")
