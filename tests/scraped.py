"""What a scrape's text means to Prometheus, as its own library reads it."""

from prometheus_client.parser import text_string_to_metric_families


def samples(text):
    """Name, labels and value of every sample, whatever their order and however the numbers are written."""
    families = text_string_to_metric_families(text)
    return {(item.name, frozenset(item.labels.items()), item.value) for family in families for item in family.samples}
