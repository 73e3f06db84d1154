"""The month as an archive file: PDF/A-3u from nothing but the issued sums, which are attached to it."""

from datetime import datetime

from reportlab.platypus import PageBreak

from center.outgoing.monthly.archive import archive
from center.outgoing.monthly.content import content_of
from center.outgoing.monthly.sheet import foot_of, month_sheet
from center.outgoing.reports.pdf import built, parts_of


def month_pdf(issued: bytes, lang: str) -> bytes:
    """The file; of the same sums always the same bytes. issued: canonical JSON; lang: of `LANGUAGES`. Raises `NotCanonical`."""
    content = content_of(issued)
    chosen = ("vi", "en") if lang == "both" else (lang,)
    sheets = [month_sheet(content, one) for one in chosen]
    parts = parts_of(sheets[0])
    for sheet in sheets[1:]:
        parts += [PageBreak(), *parts_of(sheet)]
    made = datetime.fromisoformat(content.made)
    title = f"{sheets[0].title} · {sheets[0].subtitle}"
    foot = foot_of(content, chosen[0])
    return built(parts, title, chosen[0], foot, lambda canvas: archive(canvas, issued, made, chosen[0]))
