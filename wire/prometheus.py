"""Metrics of agent and center as prometheus-client's families, and their text. Pure.

The text is format 0.0.4 (prometheus.io, Exposition formats).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def labelled(
    name: str, kind: Literal["counter", "gauge"], about: str, samples: Iterable[tuple[Mapping[str, str], float]]
) -> Metric:
    """A metric with a value for each set of labels. about: what it counts, with its unit."""
    family = CounterMetricFamily(name, about) if kind == "counter" else GaugeMetricFamily(name, about)
    for labels, value in samples:
        family.add_sample(name, dict(labels), value)
    return family


def counter(name: str, about: str, value: float) -> Metric:
    """A number that only grows, without labels."""
    return CounterMetricFamily(name, about, value)


def gauge(name: str, about: str, value: float | None) -> Metric:
    """A number that goes up and down, without labels; None: no sample."""
    return GaugeMetricFamily(name, about, value)


def by_label(
    name: str, kind: Literal["counter", "gauge"], about: str, label: str, values: Mapping[str, float | None]
) -> Metric:
    """A metric with one label, from label value to number; None is left out."""
    return labelled(name, kind, about, [({label: key}, value) for key, value in values.items() if value is not None])


@dataclass(frozen=True)
class _Collected:
    metrics: list[Metric]

    def collect(self) -> list[Metric]:
        return self.metrics


def render(metrics: Iterable[Metric]) -> str:
    """The answer to a scrape; metrics without samples are left out."""
    return generate_latest(_Collected([metric for metric in metrics if metric.samples])).decode()
