"""Boards as Grafana asks their questions: variables filled in, and the data sources of deploy/grafana with what the environment says."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import httpx
from ruamel.yaml import YAML
from servers import PATIENCE_S

GRAFANA = Path(__file__).parents[2] / "deploy" / "grafana"
PATHS = sorted((GRAFANA / "boards").glob("*/*/*.json"))


def boards(source, lang="en"):
    """The boards of a data source by name."""
    paths = [path for path in PATHS if path.parent.parent.name == source and path.parent.name == lang]
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def provisioned(name, environment):
    """A data source as Grafana provisions it."""
    text = (GRAFANA / "provisioning" / "datasources" / f"{name}.yaml").read_text(encoding="utf-8")
    said = "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#"))
    filled = re.sub(r"\$__env\{(\w+)\}", lambda found: environment[found[1]], said)
    (source,) = YAML(typ="safe").load(filled)["datasources"]
    return source


class Filled:
    """What Grafana writes for variables. One of several values is a regular expression in InfluxQL."""

    def __init__(self, start_ms, end_ms, **variables):
        self.start_ms, self.end_ms, self.variables = start_ms, end_ms, variables

    def __call__(self, text):
        made = text.replace("$timeFilter", f"time >= {self.start_ms}ms and time <= {self.end_ms}ms")
        made = made.replace("${__from:date:iso}", _iso(self.start_ms)).replace("${__to:date:iso}", _iso(self.end_ms))
        made = made.replace("$__from", str(self.start_ms)).replace("$__to", str(self.end_ms))
        for name, value in self.variables.items():
            made = made.replace(f"${name}", value if isinstance(value, str) else f"({'|'.join(map(re.escape, value))})")
        assert "$" not in re.sub(r"\$/", "", made), made
        return made


def _iso(t_ms):
    return datetime.fromtimestamp(t_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Infinity:
    """The center's API, asked as the data source plugin asks it."""

    def __init__(self, source):
        assert source["jsonData"]["auth_method"] == "bearerToken"
        headers = {"Authorization": f"Bearer {source['secureJsonData']['bearerToken']}"}
        self.client = httpx.Client(base_url=source["url"], headers=headers, trust_env=False, timeout=PATIENCE_S)

    def get(self, path, **params):
        answer = self.client.get(f"/api/v1{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ask(self, target, filled):
        """The rows that a panel gets, by name of the column."""
        params = [(item["key"], filled(item["value"])) for item in target["url_options"]["params"]]
        answer = self.client.get(filled(target["url"]), params=params)
        assert answer.status_code == 200, answer.text
        found = answer.json()[target["root_selector"]] if target["root_selector"] else answer.json()
        return [{item["text"]: _selected(row, item["selector"]) for item in target["columns"]} for row in found]


def _selected(row, selector):
    for part in selector.split("."):
        assert row is None or part in row, f"no {selector} in {row}"
        row = None if row is None else row[part]
    return row


class InfluxQl:
    """InfluxDB, asked as Grafana's data source does."""

    def __init__(self, source):
        self.database = source["jsonData"]["dbName"]
        account = (source["user"], source["secureJsonData"]["password"])
        self.client = httpx.Client(base_url=source["url"], auth=account, trust_env=False, timeout=PATIENCE_S)

    def ask(self, statement):
        """The rows, by tag and column; `time` in ms."""
        answer = self.client.post("/query", data={"db": self.database, "epoch": "ms", "q": statement})
        assert answer.status_code == 200, answer.text
        (result,) = answer.json()["results"]
        assert "error" not in result, (result, statement)
        return [
            item.get("tags", {}) | dict(zip(item["columns"], row, strict=True))
            for item in result.get("series", ())
            for row in item["values"]
        ]
