"""Writes the boards of deploy/grafana from scripts/grafana_boards.yaml, in both languages: `grafana_boards.py [--check]`.

With `--check` nothing is written: the names of files that are out of date, and exit status 1 if there are any.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from oee.kpi.kpi import KPIS  # noqa: E402  # the checkout's own, whether or not it is installed
from scripts import grafana_influxql as influxql  # noqa: E402
from words.catalogue import catalogue  # noqa: E402

FOLDER = ROOT / "deploy" / "grafana" / "boards"
TABLE: dict[str, Any] = YAML(typ="safe", pure=True).load(
    (ROOT / "scripts" / "grafana_boards.yaml").read_text(encoding="utf-8")
)
LANGUAGES = ("vi", "en")
SCHEMA_VERSION = 42
_INFINITY = "yesoreyeram-infinity-datasource"
_SOURCES = {
    "api": {"type": _INFINITY, "uid": "nhip-api"},
    "influxdb": {"type": "influxdb", "uid": "nhip-influxdb"},
    "prometheus": {"type": "prometheus", "uid": "nhip-prometheus"},
}
_UNITS = {"count": "locale", "ms": "ms", "us": "µs", "s": "s", "ratio": "percentunit", "rate": "cps", "bytes": "bytes"}
_KPI_UNITS = {"1": "ratio", "s": "s", "1/h": "count"}
_KINDS = {kpi.key: _KPI_UNITS[kpi.unit] for kpi in KPIS} | {
    **dict.fromkeys(("site", "machine", "reason", "gateway", "version", "stream", "topic", "why", "date", "product", "shift"), "text"),
    **dict.fromkeys(("since", "start", "end", "heard", "waiting_since", "closed", "seen", "at", "Time"), "time"),
    **dict.fromkeys((*influxql.STATES, "scheduled_ms", "known_ms", "missing_ms", "ms", "stops_ms", "failures_ms"), "ms"),
    "state": "state",
    "online": "flag",
    "us": "us",
    "recorded": "ratio",
}  # fmt: skip
_INFINITY_TYPES = {"text": "string", "state": "string", "loss": "string", "flag": "string", "time": "timestamp"}
_BOUNDS = ("oee_low", "oee_high", "coverage")
_HOUR_MS = 3_600_000
_OF_SITES = '"site" =~ /^$site$/'
_OF_MACHINE = "\"site\" = '$site' AND \"machine\" = '$machine'"


def main() -> int:
    """Writes or checks the boards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is out of date")
    options = parser.parse_args()
    wanted = {FOLDER / name: text for name, text in files().items()}
    old = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    gone = [path for path in sorted(FOLDER.glob("**/*.json")) if path not in wanted]
    for path in [] if options.check else old:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
    for path in [] if options.check else gone:
        path.unlink()
    for path in (*old, *gone):
        name = path.relative_to(ROOT)
        print(f"{name}: out of date; run scripts/grafana_boards" if options.check else f"{name}: written or removed")
    return 1 if options.check and (old or gone) else 0


def files() -> dict[str, str]:
    """Path below `FOLDER` and text of every board."""
    return {
        f"{board['source']}/{lang}/{name}.json": json.dumps(_board(name, board, lang), ensure_ascii=False, indent=1)
        + "\n"
        for name, board in TABLE["boards"].items()
        for lang in LANGUAGES
    }


def _board(name: str, board: dict[str, Any], lang: str) -> dict[str, Any]:
    tags = ["nhip", f"nhip-{lang}", board["source"]]
    others = {"vi": "Các bảng khác", "en": "Other boards"}[lang]
    link = {"type": "dashboards", "title": others, "icon": "external link", "tooltip": "", "tags": [f"nhip-{lang}"]}
    switches = {"asDropdown": True, "targetBlank": False, "includeVars": True, "keepTime": True}
    return {
        "uid": f"nhip-{name}-{lang}",
        "title": f"Nhịp · {board['title'][lang]}",
        "description": TABLE["notes"].get(board["source"], {}).get(lang, ""),
        "tags": tags,
        "timezone": "browser",
        "editable": False,
        "graphTooltip": 1,
        "time": {"from": "now-24h", "to": "now"},
        "timepicker": {"refresh_intervals": ["30s", "1m", "5m", "15m", "1h"]},
        "refresh": "1m",
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "panels": _placed([_panel(board, panel, lang) for panel in board["panels"]], board["panels"]),
        "templating": {"list": [_variable(item, board["source"], lang) for item in board.get("variables", ())]},
        "annotations": {"list": []},
        "links": [link | switches],
    }


def _placed(made: list[dict[str, Any]], panels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    x = y = row_height = 0
    for number, (panel, item) in enumerate(zip(made, panels, strict=True), 1):
        width, height = item["size"]
        if x + width > 24:
            x, y = 0, y + row_height
        panel["id"], panel["gridPos"] = number, {"x": x, "y": y, "w": width, "h": height}
        x, row_height = x + width, height
    return made


def _panel(board: dict[str, Any], panel: dict[str, Any], lang: str) -> dict[str, Any]:
    source = _SOURCES[board["source"]]
    targets, columns = _TARGETS[board["source"]](panel, lang)
    made = [{"refId": chr(65 + index), "datasource": source} | target for index, target in enumerate(targets)]
    several = len(targets) > 1 and panel["draw"] == "table"
    out = {
        "title": panel["title"][lang],
        "description": TABLE["notes"].get(board["source"], {}).get(lang, "") if "oee" in columns else "",
        "type": {"table": "table", "stat": "stat"}.get(panel["draw"], "timeseries"),
        "datasource": source,
        "targets": made,
        "fieldConfig": {
            "defaults": _defaults(board["source"], panel, lang),
            "overrides": [_override(name, kind, panel, lang) for name, kind in columns.items()],
        },
        "options": _options(panel, lang),
    }
    if board["source"] == "influxdb" and panel["draw"] == "table":
        hidden = {"Time": False, "last": True} if "last" in panel else {"Time": True}
        steps = [{"id": "merge", "options": {}}] if several else []
        out["transformations"] = [*steps, {"id": "organize", "options": {"excludeByName": hidden}}]
    return out


def _defaults(source: str, panel: dict[str, Any], lang: str) -> dict[str, Any]:
    out: dict[str, Any] = {"noValue": "–"}
    kind = panel.get("kind", "")
    if kind in _UNITS:
        out["unit"] = _UNITS[kind]
    if kind == "up":
        out["mappings"] = [_mapping(TABLE["up"][lang])]
    if panel["draw"] in ("lines", "bars"):
        is_stacked = panel["draw"] == "bars" and "unknown_ms" in panel.get("sums", {}).get("of", ())
        out["custom"] = {
            "drawStyle": "bars" if panel["draw"] == "bars" else "line",
            "fillOpacity": 60 if panel["draw"] == "bars" else 0,
            "showPoints": "auto",
            "spanNulls": False,
            "insertNulls": _HOUR_MS * 3 // 2 if source == "influxdb" else False,
            "stacking": {"mode": "normal" if is_stacked else "none", "group": "A"},
        }
    return out


def _override(name: str, kind: str, panel: dict[str, Any], lang: str) -> dict[str, Any]:
    properties: list[dict[str, Any]] = [{"id": "displayName", "value": label(name, lang)}]
    if kind in _UNITS:
        properties.append({"id": "unit", "value": _UNITS[kind]})
    if _UNITS.get(kind) == "percentunit":
        properties.append({"id": "decimals", "value": 1})
    if kind in ("state", "loss"):
        properties.append(
            {
                "id": "mappings",
                "value": [_mapping(_named(("waterfall", "state") if kind == "loss" else ("state",), lang))],
            }
        )
    if kind == "flag":
        properties.append({"id": "mappings", "value": [_mapping(TABLE["flags"][lang])]})
    if panel["draw"] == "lines" and name in ("oee_low", "oee_high"):
        properties.append({"id": "custom.lineWidth", "value": 0})
        if name == "oee_high":
            properties.append({"id": "custom.fillBelowTo", "value": label("oee_low", lang)})
            properties.append({"id": "custom.fillOpacity", "value": 20})
    return {"matcher": {"id": "byName", "options": name}, "properties": properties}


def _options(panel: dict[str, Any], lang: str) -> dict[str, Any]:
    if panel["draw"] == "stat":
        # of all rows the last value of each column, whatever its name
        reduced = {"values": False, "calcs": ["lastNotNull"], "fields": ""}
        look = {"textMode": "value_and_name", "colorMode": "none", "graphMode": "none"}
        return {"reduceOptions": reduced, "orientation": "auto", "justifyMode": "auto", "wideLayout": True,
                "showPercentChange": False, "percentChangeColorMode": "standard"} | look  # fmt: skip
    if panel["draw"] == "table":
        first = "ms" if "losses" in panel else "oee" if "ratios" in panel else ""
        sorting = {"sortBy": [{"displayName": label(first, lang), "desc": first == "ms"}]} if first else {}
        return {"frameIndex": 0, "showHeader": True, "cellHeight": "sm"} | sorting
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "none"}}


def label(name: str, lang: str) -> str:
    """What a column is called."""
    words, state = catalogue(), name.removesuffix("_ms")
    if name in TABLE["names"]:
        return str(TABLE["names"][name][lang])
    key = f"kpi.{name}" if f"kpi.{name}" in words else f"state.{state}"
    return words[key][lang]


def _named(parts: tuple[str, ...], lang: str) -> dict[str, str]:
    return {
        key.partition(".")[2]: text[lang]
        for part in parts
        for key, text in catalogue().items()
        if key.startswith(f"{part}.")
    }


def _mapping(texts: dict[str, str]) -> dict[str, Any]:
    return {
        "type": "value",
        "options": {key: {"text": text, "index": n} for n, (key, text) in enumerate(texts.items())},
    }


_Made = tuple[list[dict[str, Any]], dict[str, str]]
"""The questions of a panel, and the kinds of their columns."""


def _api(panel: dict[str, Any], _lang: str) -> _Made:
    columns = {
        name: item if isinstance(item, dict) else {"selector": item, "kind": _KINDS.get(name, "count")}
        for name, item in panel["columns"].items()
    }
    target = _asked(panel["url"], panel.get("params", {}), panel.get("rows", "rows"))
    target["columns"] = [
        {"selector": item["selector"], "text": name, "type": _INFINITY_TYPES.get(item["kind"], "number")}
        for name, item in columns.items()
    ]
    return [target], {name: item["kind"] for name, item in columns.items()}


def _asked(url: str, params: dict[str, str], rows: str) -> dict[str, Any]:
    times = {"$from": "${__from:date:iso}", "$to": "${__to:date:iso}"}
    filled = [{"key": key, "value": times.get(value, value)} for key, value in params.items()]
    return {
        "type": "json",
        "source": "url",
        "format": "table",
        "parser": "backend",
        "url": f"/api/v1{url}",
        "url_options": {"method": "GET", "data": "", "params": filled},
        "root_selector": rows,
        "filters": [],
    }


def _prometheus(panel: dict[str, Any], _lang: str) -> _Made:
    is_now = panel["draw"] == "stat"
    target = {"expr": panel["expr"], "legendFormat": panel.get("legend", "__auto"), "editorMode": "code"}
    return [target | {"instant": is_now, "range": not is_now}], {}


def _influxdb(panel: dict[str, Any], _lang: str) -> _Made:
    asked = panel.get("ratios") or panel.get("sums") or {}
    group, by_hour = asked.get("group", []), asked.get("by_hour", False)
    is_of_sites = "site" in (group or panel.get("losses", ())) or not {"ratios", "sums", "losses"} & {*panel}
    where = _OF_SITES if is_of_sites else _OF_MACHINE
    more: dict[str, Any] = {"resultFormat": "table"}
    columns: list[str] = list(group)
    if "ratios" in panel:
        queries = [influxql.ratio(name, group, where, by_hour=by_hour) for name in asked["of"]]
        columns += [one for name in asked["of"] for one in (_BOUNDS if name == "bounds" else (name,))]
    elif "sums" in panel:
        queries = [influxql.sums(asked["of"], group, where, by_hour=by_hour)]
        columns += asked["of"]
    elif "losses" in panel:
        queries = [influxql.losses(panel["losses"], where)]
        columns = [*panel["losses"], "ms", "pieces"]
    elif "recorded" in panel:
        queries, columns = [influxql.recorded(where)], ["recorded"]
        more = {"resultFormat": "time_series", "alias": "$tag_site/$tag_machine"}
    elif "last" in panel:
        queries, columns = [influxql.last_rows(where)], ["site", "machine", "Time"]
    else:
        queries, columns = [influxql.marks(where)], ["site", "gateway", "stream", "mark"]
    targets = [{"query": query, "rawQuery": True} | more for query in queries]
    return targets, {name: _KINDS.get(name, "count") for name in columns}


_TARGETS = {"api": _api, "prometheus": _prometheus, "influxdb": _influxdb}


def _variable(name: str, source: str, lang: str) -> dict[str, Any]:
    if name in ("bucket", "formula"):
        return _choice(name, lang)
    key = name.removesuffix("s")
    out = {
        "type": "query",
        "name": key,
        "label": label(key, lang),
        "datasource": _SOURCES[source],
        "refresh": 1,
        "sort": 1,
        "multi": name == "sites",
        "includeAll": name == "sites",
        "hide": 0,
        "options": [],
    }
    if name == "sites":
        out["current"] = {"selected": True, "text": ["All"], "value": ["$__all"]}
    if source == "influxdb":
        where = "" if key == "site" else " WHERE \"site\" = '$site'"
        statement = f'SHOW TAG VALUES FROM "facts" WITH KEY = "{key}"{where}'
        return out | {"query": statement, "definition": statement}
    asked = _asked("/sites" if key == "site" else "/machines", {} if key == "site" else {"site": "$site"}, "")
    columns = {"__value": "id", "__text": f"name.{lang}"}
    asked["columns"] = [{"selector": item, "text": text, "type": "string"} for text, item in columns.items()]
    query = {"queryType": "infinity", "refId": "variable", "query": "", "infinityQuery": {"refId": "variable"} | asked}
    return out | {"query": query, "definition": asked["url"]}


def _choice(name: str, lang: str) -> dict[str, Any]:
    item = TABLE["choices"][name]
    options = [
        {"text": text[lang], "value": key, "selected": not n} for n, (key, text) in enumerate(item["of"].items())
    ]
    return {
        "type": "custom",
        "name": item["variable"],
        "label": item["label"][lang],
        "query": ", ".join(f"{option['text']} : {option['value']}" for option in options),
        "options": options,
        "current": options[0],
        "multi": False,
        "includeAll": False,
        "hide": 0,
    }


if __name__ == "__main__":
    sys.exit(main())
