"""Process values for tests, written by tag."""

from math import isnan

from wire.value_buffer import ValueBuffer


def gathered(columns):
    """columns: `device.tag` to its rows (time [us UTC], value, quality), times strictly increasing."""
    tags = sorted(columns)
    out = ValueBuffer(tags)
    for place, tag in enumerate(tags):
        for t_us, value, quality in columns[tag]:
            out.add(place, t_us, value, quality)
    return out


def listed(rows):
    """Gathered rows in the order in which they came: (tag, time [us UTC], value, quality)."""
    columns = (rows.place, rows.t_us, rows.number, rows.quality)
    return [
        (rows.tags[place], t_us, rows.text.get(at, None if isnan(number) else number), quality)
        for at, (place, t_us, number, quality) in enumerate(zip(*columns, strict=True))
    ]
