"""Numbers in Prometheus' text format 0.0.4 (prometheus.io, Exposition formats), told by agent and center alike. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_LABEL: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})


@dataclass(frozen=True)
class Metric:
    """One name. help: what it counts, with its unit; samples: labels and value; without samples it is not told."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: Sequence[tuple[Mapping[str, str], float]]


def counter(name: str, about: str, value: float) -> Metric:
    """A number that only grows, without labels."""
    return Metric(name, "counter", about, [({}, value)])


def gauge(name: str, about: str, value: float | None) -> Metric:
    """A number that goes up and down, without labels; None is not told."""
    return Metric(name, "gauge", about, [] if value is None else [({}, value)])


def by_label(
    name: str, kind: Literal["counter", "gauge"], about: str, label: str, values: Mapping[str, float | None]
) -> Metric:
    """The same for each value of one label; None is not told."""
    return Metric(name, kind, about, [({label: key}, value) for key, value in values.items() if value is not None])


def render(metrics: Iterable[Metric]) -> str:
    """The text that a scrape gets."""
    lines: list[str] = []
    for metric in metrics:
        if metric.samples:
            lines.append(f"# HELP {metric.name} {metric.help.translate(_HELP)}")
            lines.append(f"# TYPE {metric.name} {metric.kind}")
            lines += [f"{metric.name}{_labels(labels)} {_number(value)}" for labels, value in metric.samples]
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Mapping[str, str]) -> str:
    told = ",".join(f'{name}="{text.translate(_LABEL)}"' for name, text in labels.items())
    return f"{{{told}}}" if told else ""


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
