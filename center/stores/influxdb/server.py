"""HTTP to one InfluxDB: lines through the official client, queries as InfluxQL.

Both servers speak the same two requests: `POST /api/v2/write` and `GET /query` (1.8, 2.x with a DBRP mapping, and
compatible clusters). A 1.x user and password go as `Basic`, a 2.x token as `Token`.
"""

import base64
import json
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from center.contract.store import StoreRefused, StoreUnavailable
from center.stores.influxdb.codec.refusals import Blame, all_refused, blame, named, reason, short, too_much

BATCH_LINES: Final = 5_000
SIDE_BY_SIDE: Final = 4
"""Concurrent requests of one write: the server parses each on one core."""
_LONG_QUERY: Final = 4_000
"""Characters beyond which a query is posted: proxies limit the length of a URL."""
_NAMED_REFUSALS: Final = 3
_NOT_ALLOWED: Final = (401, 403)
_NOT_EXECUTED: Final = "not executed"
"""1.8 says so of the statements beside one that is refused for what it would cost, and may say nothing of that one."""


@dataclass(frozen=True)
class Address:
    """Where an InfluxDB is, and the credentials. org: set for 2.x, empty for 1.x. token: for 1.x `user:password`."""

    url: str
    org: str = ""
    token: str = ""
    ca_file: str = ""
    timeout_s: float = 60.0


class AccessDenied(StoreUnavailable):
    """The server does not know the user or the token, or what it allows them is not enough."""


class QueryRefused(StoreUnavailable):
    """The server is there, and answers this question not: it would cost more than the server allows."""


class InfluxServer:
    """Connections to one server. Any thread may query; writes are serialised."""

    def __init__(self, address: Address) -> None:
        self.address = address
        basic = bool(address.token) and not address.org
        self._headers = {}
        if address.token:
            secret = base64.b64encode(address.token.encode()).decode() if basic else address.token
            self._headers = {"Authorization": f"{'Basic' if basic else 'Token'} {secret}"}
        options: dict[str, Any] = {"ca_certs": address.ca_file} if address.ca_file else {}
        self._pool = urllib3.PoolManager(maxsize=8, retries=False, timeout=address.timeout_s, **options)
        self._client = InfluxDBClient(
            address.url,
            address.token,
            org=address.org or "-",
            timeout=round(address.timeout_s * 1000),
            retries=False,
            ssl_ca_cert=address.ca_file or None,
            auth_basic=basic,
        )
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)
        self._writer_lock = threading.Lock()

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The JSON answer of the API of 2.x; empty for a GET of what is not there. Raises `StoreUnavailable`."""
        status, text = self.request(method, path, **options)
        if status == 404 and method == "GET":
            return {}
        if status >= 400:
            kind = AccessDenied if status in _NOT_ALLOWED else StoreUnavailable
            raise kind(f"{self.address.url}: {method} {path}: {status} {text[:200]}")
        try:
            out: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise StoreUnavailable(f"{self.address.url}: {method} {path}: no JSON: {text[:200]}") from error
        return out

    def request(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        """Status and text of a response. Raises `StoreUnavailable` if there is none."""
        try:
            answer = self._pool.request(method, f"{self.address.url}{path}", headers=self._headers, **options)
        except urllib3.exceptions.HTTPError as error:
            raise StoreUnavailable(f"{self.address.url}: no answer: {_first_line(error)}") from error
        return answer.status, answer.data.decode("utf-8", "replace")

    def ask(self, statements: Sequence[str], database: str = "") -> list[dict[str, Any]]:
        """The complete results of the statements. Raises `StoreUnavailable` with the server's message."""
        query = "; ".join(statements)
        fields = {"q": query, "epoch": "ns"} | ({"db": database} if database else {})
        reads = query.startswith(("SELECT", "SHOW"))
        if reads and len(query) < _LONG_QUERY:
            status, text = self.request("GET", "/query", fields=fields)
        else:
            status, text = self.request("POST", "/query", fields=fields, encode_multipart=False)
        try:
            answer = json.loads(text)
        except ValueError:
            answer = {}
        if not reads and status < 400 and text.strip() == "{}":
            return [{} for _ in statements]  # so InfluxDB 2.x answers DELETE
        results: list[dict[str, Any]] = answer.get("results", [])
        failure = answer.get("error") or next((result["error"] for result in results if "error" in result), "")
        if failure == _NOT_EXECUTED and len(statements) > 1:
            return [self.ask([statement], database)[0] for statement in statements]
        if status in _NOT_ALLOWED:
            raise AccessDenied(f"{self.address.url}: {status} {failure or text[:200]}")
        if too_much(failure):
            raise QueryRefused(f"{self.address.url}: cannot be read: {failure}")
        if failure or status >= 400 or len(results) != len(statements):
            raise StoreUnavailable(f"{self.address.url}: cannot be read: {status} {failure or text[:200]}")
        for result in results:
            if result.get("partial") or any(table.get("partial") for table in result.get("series", ())):
                raise StoreUnavailable(
                    f"{self.address.url}: answers are truncated; set max-row-limit = 0 on the server"
                )
        return results

    def delete(self, bucket: str, predicate: str) -> None:
        """Deletes rows of a 2.x bucket, whatever their time. Raises `StoreUnavailable`."""
        body = {"start": "1970-01-01T00:00:00Z", "stop": "2262-01-01T00:00:00Z", "predicate": predicate}
        path = f"/api/v2/delete?{urlencode({'org': self.address.org, 'bucket': bucket})}"
        status, text = self.request("POST", path, json=body)
        if status >= 400:
            raise StoreUnavailable(f"{self.address.url}: rows cannot be deleted: {status} {text[:200]}")

    def write(self, bucket: str, lines: Sequence[str]) -> None:
        """Writes the lines; on return the server has them on its disk (see deploy/influxdb.md).

        Raises `StoreUnavailable`, or `StoreRefused` naming some of the lines that the server will never accept; all
        others are written then.
        """
        parts = [lines[start : start + BATCH_LINES] for start in range(0, len(lines), BATCH_LINES)]
        with self._writer_lock:
            refused = self._write_all(bucket, parts)
        if refused:
            some = "; ".join(f"{named(line)}: {why}" for line, why in refused[:_NAMED_REFUSALS])
            raise StoreRefused(f"{len(refused)} of {len(lines)} rows: {some}")

    def _write_all(self, bucket: str, parts: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
        """Returns or raises only once no request is under way: whatever is written next arrives after these."""
        if len(parts) < 2:
            return [item for part in parts for item in self._write(bucket, part)]
        with ThreadPoolExecutor(SIDE_BY_SIDE, "nhip-influx") as pool:
            sent = [pool.submit(self._write, bucket, part) for part in parts]
            wait(sent, return_when=FIRST_EXCEPTION)
            pool.shutdown(cancel_futures=True)  # after a failure, pending parts are not started
        return [item for future in sent for item in future.result()]  # the failed future comes before cancelled ones

    def _write(self, bucket: str, lines: Sequence[str]) -> list[tuple[str, str]]:
        """The refused lines with the server's reasons."""
        failure = self._post(bucket, lines)
        if failure is None:
            return []
        status, text = failure
        cause = blame(status, text)
        if cause is Blame.SERVER or (cause is Blame.SIZE and len(lines) == 1):
            raise StoreUnavailable(f"{self.address.url}: cannot be written: {status} {short(text)}")
        if cause is Blame.ROWS and all_refused(text, len(lines)):
            return [(line, reason(text)) for line in lines]
        middle = len(lines) // 2
        return self._write(bucket, lines[:middle]) + self._write(bucket, lines[middle:])

    def _post(self, bucket: str, lines: Sequence[str]) -> tuple[int, str] | None:
        """None for success, else status and the server's message."""
        try:
            self._writer.write(bucket=bucket, record="\n".join(lines).encode())
        except ApiException as error:
            return int(error.status or 0), _message(error)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreUnavailable(f"{self.address.url}: cannot be written: {_first_line(error)}") from error
        return None

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()  # type: ignore[no-untyped-call]
        self._pool.clear()


def _message(error: ApiException) -> str:
    """The server's message: `error` in 1.x, `message` in 2.x."""
    body = error.body.decode("utf-8", "replace") if isinstance(error.body, bytes) else str(error.body or "")
    try:
        answer = json.loads(body)
        return str(answer.get("error") or answer.get("message") or body)
    except (ValueError, AttributeError):
        return body or str(error.reason)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0][:300]
