"""The form of an action: filled from a finding or from a draft, and read back."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup
from starlette.datastructures import FormData

from center.api.outside import outside
from center.console.document import button, choice, field, form, notice
from center.console.draw.markup import el, join
from oee.advice.gain.metrics import EDGES, LOSS_STATES
from words import say
from words.actions import metric_text

_WINDOWS: Final = ("before", "work", "after")
_PLAIN: Final = ("oee", "operating", "minor", "speed", "reject", "failures", "repair", "setup", "energy")


def draw(
    action: str,
    values: Mapping[str, Any],
    machines: Mapping[str, str],
    controls: Mapping[str, str],
    names: Mapping[str, str],
    reasons: Sequence[str],
    lang: str,
    *,
    frozen: bool = False,
    complaints: Sequence[str] = (),
) -> Markup:
    """The form. values: of the request's fields by name; machines, controls: names by id; names: of products and reasons;
    reasons: `state/key` that can be measured; frozen: the plan is registered, so a change is a revision; complaints: what is
    wrong.
    """
    return join(
        *(notice(text, "bad") for text in complaints),
        notice(say("action_form.frozen", lang), "bad") if frozen else None,
        form(
            outside(action),
            el("input", name="site", type="hidden", value=str(values.get("site", ""))),
            el("input", name="finding", type="hidden", value=str(values.get("finding", ""))),
            _words(values, lang),
            _measured(values, machines, controls, names, reasons, lang),
            _windows(values, lang),
            el("p", say("action_form.note", lang), cls="soft"),
            button(say("action_form.revise" if frozen else "action_form.save", lang)),
            cls="form action-form",
        ),
    )


def _words(values: Mapping[str, Any], lang: str) -> Markup:
    def text(name: str, rows: int) -> Markup:
        area = el("textarea", str(values.get(name) or ""), name=name, rows=str(rows), maxlength="2000")
        return el("label", el("span", say(f"action_form.{name}", lang)), area)

    cost = "" if values.get("cost") is None else f"{values['cost']:.0f}"
    return el(
        "fieldset",
        el("legend", say("action_form.words", lang)),
        field(say("action_form.what", lang), "what", value=str(values.get("what") or ""), required="", maxlength="200"),
        field(
            say("action_form.owner", lang), "owner", value=str(values.get("owner") or ""), required="", maxlength="200"
        ),
        text("method", 2),
        text("cause", 2),
        field(say("action_form.cost", lang), "cost", value=cost, inputmode="decimal", autocomplete="off"),
    )


def _measured(
    values: Mapping[str, Any],
    machines: Mapping[str, str],
    controls: Mapping[str, str],
    names: Mapping[str, str],
    reasons: Sequence[str],
    lang: str,
) -> Markup:
    chosen = f"{values.get('metric', '')}|{values.get('part', '')}"
    options = [f"{metric}|" for metric in _PLAIN]
    options += [f"edge|{edge}" for edge in EDGES] + [f"loss|{part}" for part in (*LOSS_STATES, *reasons)]
    if chosen not in options:
        options.insert(0, chosen)
    shown = []
    for key in options:
        metric, _, part = key.partition("|")
        shown.append((key, metric_text(metric, part, lang, names)))
    expected = f"{float(values.get('expected_min') or 0):g}"
    return el(
        "fieldset",
        el("legend", say("action_form.measure", lang)),
        choice(say("action_form.metric", lang), "measure", shown, chosen),
        _boxes(say("action_form.machines", lang), "machines", machines, values.get("machines", ())),
        _boxes(say("action_form.controls", lang), "controls", controls, values.get("controls", ())),
        el("p", say("action_form.controls.note", lang), cls="faint"),
        field(
            say("action_form.expected", lang), "expected_min", value=expected, inputmode="decimal", autocomplete="off"
        ),
        _boxes("", "mix", {"yes": say("action_form.mix", lang)}, ("yes",) if values.get("mix", True) else ()),
    )


def _boxes(label: str, name: str, options: Mapping[str, str], chosen: Sequence[str]) -> Markup:
    boxes = [
        el(
            "label",
            el("input", name=name, type="checkbox", value=key, checked="" if key in chosen else None),
            text,
            cls="box",
        )
        for key, text in options.items()
    ]
    return el("div", el("span", label, cls="label") if label else None, el("div", *boxes, cls="boxes"))


def _windows(values: Mapping[str, Any], lang: str) -> Markup:
    rows = []
    for window in _WINDOWS:
        days = [
            field(say(f"action_form.{end}", lang), f"{window}_{end}", "date", str(values.get(f"{window}_{end}") or ""))
            for end in ("from", "to")
        ]
        rows.append(el("div", el("span", say(f"action_form.{window}", lang), cls="label"), *days, cls="days"))
    settle = field(
        say("action_form.settle", lang), "settle_days", "number", str(values.get("settle_days", 3)), min="0", max="60"
    )
    return el("fieldset", el("legend", say("action_form.windows", lang)), *rows, settle)


def read(data: FormData) -> dict[str, Any]:
    """The request's fields by name, with the plan's in `plan`; values that are no numbers are left as they were written."""

    def text(name: str) -> str:
        return str(data.get(name, "")).strip()

    metric, _, part = text("measure").partition("|")
    plan: dict[str, Any] = {
        "metric": metric,
        "part": part,
        "machines": [str(item) for item in data.getlist("machines")],
        "controls": [str(item) for item in data.getlist("controls")],
        "mix": "mix" in data,
        "expected_min": _number(text("expected_min")) or 0.0,
        "settle_days": text("settle_days") or 0,
    }
    plan |= {f"{window}_{end}": text(f"{window}_{end}") for window in _WINDOWS for end in ("from", "to")}
    words = {name: text(name) for name in ("what", "owner", "method", "cause")}
    return words | {"cost": _number(text("cost")), "plan": plan}


def _number(text: str) -> float | str | None:
    """A number as people type it: dots or blanks between thousands, a comma or a point before decimals."""
    if not text:
        return None
    plain = text.replace(" ", "").replace("\u00a0", "")
    if (
        plain.count(".") > 1
        or ("," in plain and "." in plain and plain.rindex(",") > plain.rindex("."))
        or ("." in plain and len(plain.rpartition(".")[2]) == 3 and "," not in plain)
    ):
        plain = plain.replace(".", "")
    try:
        return float(plain.replace(",", "."))
    except ValueError:
        return text
