"""A capability statement as an archive file with a watermark and its content attached, from that content alone."""

from datetime import datetime
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4

from center.outgoing.monthly.archive import archive
from center.outgoing.reports.pdf import built, parts_of
from center.outgoing.statement.content import statement_digest, statement_of
from center.outgoing.statement.sheet import foot_of_statement, statement_sheet, watermark_of

ATTACHED = "nhip-statement.json"
"""Name of the attached file."""


def statement_pdf(told: bytes, lang: str) -> bytes:
    """The file. told: canonical JSON. Raises `BrokenStatement`."""
    content, digest = statement_of(told), statement_digest(told)
    sheet, mark = statement_sheet(content, lang, digest), watermark_of(content, lang)

    def under(canvas: Any) -> None:
        canvas.saveState()
        canvas.setFillColor(HexColor("#eef0eb"))
        size = min(44.0, 44.0 * 30 / max(len(mark), 1))
        canvas.setFont("Nhip-Bold", size)
        canvas.translate(A4[0] / 2, A4[1] / 2)
        canvas.rotate(52)
        for shift in (-260, 0, 260):
            canvas.drawCentredString(0, shift, mark)
        canvas.restoreState()

    made = datetime.fromisoformat(content.made)
    foot = foot_of_statement(content, lang, digest)
    title = f"{sheet.title} · {sheet.subtitle}"
    return built(parts_of(sheet), title, lang, foot, lambda canvas: archive(canvas, told, made, lang, ATTACHED), under)
