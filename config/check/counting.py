"""Properties of tags that matter for counting."""

from config.devices.device import UNKNOWN_WIDTH, CounterWidth, TagModel
from config.site.model import Site
from config.site.names import ONLINE


def tag_of(site: Site, name: str) -> TagModel | None:
    """The tag's model, or None (`device.online`, or no such tag)."""
    device, _, tag = name.partition(".")
    model = site.devices.get(device)
    return model.tags.get(tag) if model is not None else None


def cannot_count(site: Site, name: str) -> str:
    """The type of a tag that holds no number, or ""."""
    if name.endswith(f".{ONLINE}"):
        return "bool"
    tag = tag_of(site, name)
    return tag.text_type if tag is not None else ""


def width_of(site: Site, name: str) -> CounterWidth:
    """The width of a counter's tag."""
    tag = tag_of(site, name)
    return tag.counter_width if tag is not None else UNKNOWN_WIDTH
