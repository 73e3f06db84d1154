"""What makes a PDF an archive file: PDF/A-3u with the issued sums attached (ISO 19005-3).

ReportLab writes neither output intents nor associated files. Its document objects do, so that no second library has to read
and write the file again; `made` gives it the time of the issue, so that the same sums give the same bytes.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from html import escape
from typing import Any, Final

from PIL import ImageCms
from reportlab.pdfbase.pdfdoc import NoEncryption, PDFArray, PDFDictionary, PDFName, PDFObject, PDFStream, PDFString

from center.outgoing.monthly.content import digest_of

ATTACHED: Final = "nhip-month.json"
"""Name of the attached file."""
_ICC_DATE: Final = slice(24, 36)
_FIXED: Final = bytes([0x07, 0xE4, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0])
_XMP: Final = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:pdf="http://ns.adobe.com/pdf/1.3/" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">
<pdfaid:part>3</pdfaid:part><pdfaid:conformance>U</pdfaid:conformance>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:description>
<dc:creator><rdf:Seq><rdf:li>{author}</rdf:li></rdf:Seq></dc:creator>
<dc:language><rdf:Bag><rdf:li>{lang}</rdf:li></rdf:Bag></dc:language>
<xmp:CreateDate>{when}</xmp:CreateDate><xmp:ModifyDate>{when}</xmp:ModifyDate><xmp:CreatorTool>{author}</xmp:CreatorTool>
<pdf:Producer>{producer}</pdf:Producer><pdf:Keywords>{keywords}</pdf:Keywords>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


class _Content(PDFObject):  # type: ignore[misc]  # the library has no types
    """A stream's bytes and the end of line after them, which is no part of their length: ISO 19005 asks for it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __len__(self) -> int:
        return len(self._content)

    def format(self, _document: Any) -> bytes:
        """As ReportLab writes an object."""
        return self._content + b"\n"


class _EndOfLine(NoEncryption):  # type: ignore[misc]  # as above
    """Encrypts nothing, and ends every stream with a line."""

    def encode(self, content: str | bytes) -> _Content:
        """As ReportLab asks for a stream's bytes."""
        return _Content(content.encode("latin-1") if isinstance(content, str) else content)


def archive(canvas: Any, attached: bytes, made: datetime, lang: str, name: str = ATTACHED) -> None:
    """Makes the file that this canvas of ReportLab writes an archive file. attached: the sums; made: with an offset; lang: of the text;
    name: of the attached file."""
    document, at = canvas._doc, made.astimezone(UTC)  # noqa: SLF001  # ReportLab has no public way to its document
    document.setCompression(1)
    document.encrypt = _EndOfLine()
    document._pdfVersion = max(document._pdfVersion, (1, 7))  # noqa: SLF001  # as above
    stamp, info = document._timeStamp, document.info  # noqa: SLF001  # as above
    stamp.t = stamp.lt = at.timestamp()
    stamp.YMDhms, stamp.dhh, stamp.dmm, stamp.dsign = at.timetuple()[:6], 0, 0, "+"
    document.signature = hashlib.md5(
        attached, usedforsecurity=False
    )  # of which the file's ID is made, in place of the clock
    info.keywords = f"SHA-256 {digest_of(attached)}"
    told = {"title": info.title, "author": info.author, "producer": info.producer, "keywords": info.keywords}
    when = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    xmp = _XMP.format(lang=escape(lang), when=when, **{key: escape(text) for key, text in told.items()})
    catalog = document.Catalog
    catalog.__NoDefault__ = [*catalog.__NoDefault__, "OutputIntents", "AF"]
    catalog.__Refs__ = catalog.__NoDefault__
    catalog.Metadata = _stream(xmp.encode(), {"Type": PDFName("Metadata"), "Subtype": PDFName("XML")}, packed=False)
    profile = document.Reference(_stream(_srgb(), {"N": 3}))
    intent = {
        "Type": PDFName("OutputIntent"),
        "S": PDFName("GTS_PDFA1"),
        "OutputConditionIdentifier": PDFString("sRGB"),
        "Info": PDFString("sRGB IEC61966-2.1"),
        "DestOutputProfile": profile,
    }
    catalog.OutputIntents = PDFArray([PDFDictionary(intent)])
    params = PDFDictionary({"Size": len(attached), "ModDate": PDFString(at.strftime("D:%Y%m%d%H%M%SZ"))})
    kept = _stream(
        attached,
        {"Type": PDFName("EmbeddedFile"), "Subtype": "/application#2Fjson", "Params": params},
    )
    file = document.Reference(kept)
    described = {
        "Type": PDFName("Filespec"),
        "F": PDFString(name),
        "UF": PDFString(name),
        "AFRelationship": PDFName("Data"),
        "Desc": PDFString(f"SHA-256 {digest_of(attached)}"),
        "EF": PDFDictionary({"F": file, "UF": file}),
    }
    spec = document.Reference(PDFDictionary(described))
    names = PDFDictionary({"Names": PDFArray([PDFString(name), spec])})
    catalog.Names = PDFDictionary({"EmbeddedFiles": names})
    catalog.AF = PDFArray([spec])


def _stream(content: bytes, entries: Mapping[str, Any], *, packed: bool = True) -> PDFStream:
    made = PDFStream(PDFDictionary(dict(entries)), content)
    if not packed:
        made.filters = []
    return made


@cache
def _srgb() -> bytes:
    """The colour profile, dated always the same."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[_ICC_DATE] = _FIXED
    return bytes(profile)
