"""Creates what the store needs on the server, where it is missing.

Two retention policies in one database: `nhip` for rows, kept as long as the settings say, and `books` for the marks of
the streams and the sums of hours, kept for ever. On 2.x each is a bucket (`<database>` and `<database>-books`) with a
DBRP mapping, which lets InfluxQL find it under the same name.
"""

import re
from typing import Any, Final

from center.model.complaints import misconfigured
from center.stores.influxdb.codec.escape import name
from center.stores.influxdb.server import InfluxServer

ROWS: Final = "nhip"
METADATA: Final = "books"
_WEEK_S: Final = 604_800
_LONG_S: Final = 24 * _WEEK_S
_PART: Final = re.compile(r"(\d+)([hms])")


def prepare(server: InfluxServer, database: str, retention_s: int | None, replication: int) -> int:
    """Creates database and policies, or buckets and mappings. retention_s: 0 for ever, None leaves an existing one.
    Returns how long rows are kept now [s], 0 for ever.

    Raises `StoreUnavailable`, or `Misconfigured` if the existing retention differs from the one requested or there is no
    such organization.
    """
    if server.address.org:
        return _prepare_2(server, database, retention_s)
    return _prepare_1(server, database, retention_s, replication)


def _rows(result: dict[str, Any]) -> list[list[Any]]:
    return [row for table in result.get("series", ()) for row in table.get("values", ())]


def _prepare_1(server: InfluxServer, database: str, retention_s: int | None, replication: int) -> int:
    (databases,) = server.ask(["SHOW DATABASES"])
    if [database] not in _rows(databases):
        server.ask([f"CREATE DATABASE {name(database)}"])
    (policies,) = server.ask([f"SHOW RETENTION POLICIES ON {name(database)}"])
    existing = {row[0]: _duration_s(row[1]) for row in _rows(policies)}
    for policy, wanted_s in ((ROWS, retention_s), (METADATA, 0)):
        if policy not in existing:
            server.ask([_create(policy, database, wanted_s or 0, replication)])
        elif wanted_s is not None and existing[policy] != wanted_s:
            raise _other_retention(server, f"{database}.{policy}", existing[policy], wanted_s)
    return existing.get(ROWS, retention_s or 0)


def _shard_s(kept_s: int) -> int:
    """Long shards: a query opens every series once for each shard that it reads."""
    return 4 * _WEEK_S if not kept_s or kept_s >= _LONG_S else 86_400


def _create(policy: str, database: str, kept_s: int, replication: int) -> str:
    default = " DEFAULT" if policy == ROWS else ""
    return (
        f"CREATE RETENTION POLICY {name(policy)} ON {name(database)} DURATION {f'{kept_s}s' if kept_s else 'INF'} "
        f"REPLICATION {replication} SHARD DURATION {_shard_s(kept_s)}s{default}"
    )


def _duration_s(text: str) -> int:
    return sum(int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in _PART.findall(text))


def _other_retention(server: InfluxServer, where: str, existing_s: int, wanted_s: int) -> Exception:
    detail = (
        f"{where} is kept for {existing_s} s, but {wanted_s} s are configured (0 = for ever); shortening deletes data: "
    )
    return misconfigured(
        "store.retention", server.address.url, "invalid", detail=f"{detail}change it by hand, or remove the key"
    )


def _prepare_2(server: InfluxServer, database: str, retention_s: int | None) -> int:
    org = server.address.org
    organizations = server.call("GET", "/api/v2/orgs", fields={"org": org}).get("orgs") or []
    if not organizations:
        detail = f"organization {org!r} is unknown at {server.address.url}, or this token may not see it"
        raise misconfigured("store.org", org, "invalid", detail=detail)
    org_id = organizations[0]["id"]
    kept_s = {}
    for policy, bucket, wanted_s in ((ROWS, database, retention_s), (METADATA, f"{database}-books", 0)):
        bucket_id, kept_s[policy] = _bucket(server, org_id, bucket, wanted_s)
        mapped = server.call("GET", "/api/v2/dbrps", fields={"orgID": org_id, "bucketID": bucket_id})
        if not any(
            item["database"] == database and item["retention_policy"] == policy for item in mapped.get("content") or []
        ):
            mapping = {"orgID": org_id, "bucketID": bucket_id, "database": database, "retention_policy": policy}
            server.call("POST", "/api/v2/dbrps", json=mapping | {"default": policy == ROWS})
    return kept_s[ROWS]


def _bucket(server: InfluxServer, org_id: str, bucket: str, wanted_s: int | None) -> tuple[str, int]:
    """Its id, and how long it keeps points [s]."""
    existing = server.call("GET", "/api/v2/buckets", fields={"orgID": org_id, "name": bucket}).get("buckets") or []
    if not existing:
        kept_s = wanted_s or 0
        rule = {"type": "expire", "everySeconds": kept_s, "shardGroupDurationSeconds": _shard_s(kept_s)}
        body = {"orgID": org_id, "name": bucket, "retentionRules": [rule]}
        return str(server.call("POST", "/api/v2/buckets", json=body)["id"]), wanted_s or 0
    existing_s = sum(int(rule.get("everySeconds", 0)) for rule in existing[0].get("retentionRules") or ())
    if wanted_s is not None and existing_s != wanted_s:
        raise _other_retention(server, f"bucket {bucket}", existing_s, wanted_s)
    return str(existing[0]["id"]), existing_s
