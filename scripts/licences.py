"""Writes NOTICE.md: what a release ships besides Nhịp itself, and under which licences.

Packages are those of deploy/locks; their licences are what the installed packages say of themselves, in the words of SPDX
where an older one only has words of its own. A licence that is not among `ALLOWED` stops the script: somebody has to decide.
"""

import re
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = {"agent": "gateways", "center": "centers"}
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "EPL-2.0", "FTL",
    "GPL-3.0-or-later WITH GCC-exception-3.1", "IJG", "ISC", "LGPL-2.1-or-later", "LGPL-3.0-only",
    "LGPL-3.0-or-later", "bzip2-1.0.6", "curl", "libpng-2.0", "libtiff", "MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "OFL-1.1", "OLDAP-2.8",
    "PostgreSQL", "PSF-2.0", "Zlib",
}  # fmt: skip
"""LGPL and MPL: imported as they are, unchanged, as separate packages that anybody can replace. GPL with the exception of GCC: its run-time
libraries, which ask nothing of the programs that need them.
"""
_OF_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
SAID_HERE = {
    "docutils": "CC0-1.0 OR BSD-2-Clause",  # its few files under the GPL are tools that are not imported
    "psycopg-c": "LGPL-3.0-only",
}
"""Where a package's own words are no licence, or more than is used."""
FILES = (
    ("Roboto (center/outgoing/reports/fonts)", "Apache-2.0", "Christian Robertson, Google"),
    ("Swagger UI, in fastapi-offline", "Apache-2.0", "SmartBear"),
    ("Redoc, in fastapi-offline", "MIT", "Redocly"),
    ("Vue, Quasar, Tailwind CSS, UnoCSS, Socket.IO, in nicegui", "MIT", "their authors"),
    ("Roboto and Material Icons, in nicegui", "Apache-2.0", "Google"),
    ("DOMPurify, in nicegui", "MPL-2.0 OR Apache-2.0", "Cure53"),
    ("Apache ECharts (elements/echart), in nicegui", "Apache-2.0", "Apache Software Foundation"),
    ("AG Grid Community (elements/aggrid), in nicegui", "MIT", "AG Grid"),
    ("anywidget (elements/anywidget), in nicegui", "MIT", "Trevor Manz"),
    ("CodeMirror (elements/codemirror), in nicegui", "MIT", "Marijn Haverbeke"),
    ("nipplejs (elements/joystick), in nicegui", "MIT", "Yoann Moinet"),
    ("vanilla-jsoneditor (elements/json_editor), in nicegui", "ISC", "Jos de Jong"),
    ("Leaflet, Leaflet.draw (elements/leaflet), in nicegui", "BSD-2-Clause AND MIT", "their authors"),
    ("Mermaid (elements/mermaid), in nicegui", "MIT", "Knut Sveidqvist"),
    ("Plotly.js (elements/plotly), in nicegui", "MIT", "Plotly"),
    ("three.js (elements/scene), in nicegui", "MIT", "three.js authors"),
    ("SortableJS (elements/sortable), in nicegui", "MIT", "Lebedev Konstantin"),
    ("xterm.js (elements/xterm), in nicegui", "MIT", "xterm.js authors"),
    ("FreeType, HarfBuzz, libjpeg-turbo, libpng, LibTIFF, OpenJPEG, WebP, AVIF, Little CMS, XCB, Brotli, xz, Zstandard, in pillow",
     "FTL AND MIT AND IJG AND libpng-2.0 AND libtiff AND BSD-2-Clause AND BSD-3-Clause AND 0BSD", "their authors"),
    ("libpq, in psycopg-binary", "PostgreSQL", "PostgreSQL Global Development Group"),
    ("OpenSSL, Kerberos, OpenLDAP, Cyrus SASL, keyutils, libxcrypt, in psycopg-binary",
     "Apache-2.0 AND MIT AND OLDAP-2.8 AND BSD-3-Clause AND LGPL-2.1-or-later", "their authors"),
    (("Thrift, ORC, Protobuf, Abseil, OpenTelemetry, Snappy, Zstandard, LZ4, Brotli, bzip2, RE2, RapidJSON, simdjson, jemalloc, mimalloc, "
      "xsimd, curl, OpenSSL, clients of AWS, Google Cloud and Azure, in pyarrow"),
     "Apache-2.0 AND BSD-3-Clause AND BSD-2-Clause AND MIT AND curl AND bzip2-1.0.6", "their authors"),
    ("OpenSSL, in cryptography", "Apache-2.0", "OpenSSL authors"),
    ("OpenBLAS, in numpy", "BSD-3-Clause", "OpenBLAS developers"),
    ("OpenBLAS, in scipy", "BSD-3-Clause", "OpenBLAS developers"),
    ("libgfortran, libquadmath, in numpy", "GPL-3.0-or-later WITH GCC-exception-3.1 AND LGPL-2.1-or-later", "Free Software Foundation"),
    ("libgfortran, libquadmath, in scipy", "GPL-3.0-or-later WITH GCC-exception-3.1 AND LGPL-2.1-or-later", "Free Software Foundation"),
)  # fmt: skip
"""What packages bring along that is no Python: name, licence, whose."""
WITHOUT = {"reportlab": "reportlab/fonts"}
"""What is taken out of packages before they are shipped (scripts/slim.py, deploy/compose/Dockerfile): nobody here needs these fonts,
and Dark Garden among them is under the GPL.
"""
OWN = {"apprise", "docutils", "pymodbus", "urllib3"}
"""Packages whose pictures, pages and scripts are their own, under their own licence."""


def locked(extra: str) -> dict[str, list[str]]:
    """Name to versions of the packages of a lock: an older Python may need an older one."""
    text = (ROOT / "deploy" / "locks" / f"{extra}.txt").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", text, re.MULTILINE):
        found.setdefault(name, []).append(version)
    return found


def licence_of(name: str) -> str | None:
    """As SPDX has it; None for a package that is not installed here, "" for one that says nothing known."""
    if name in SAID_HERE:
        return SAID_HERE[name]
    try:
        known = metadata(name)
    except PackageNotFoundError:
        return None
    if expression := known.get("License-Expression"):
        return str(expression)
    classes = [
        item.split("::")[-1].strip() for item in known.get_all("Classifier") or [] if item.startswith("License ::")
    ]
    found = [_OF_CLASSIFIERS[item] for item in classes if item in _OF_CLASSIFIERS]
    if not found:
        plain = (known.get("License") or "").strip()
        found = [plain] if plain in ALLOWED else []
    return " OR ".join(dict.fromkeys(found))


def unknown(licence: str) -> set[str]:
    """Licences of an expression that nobody has decided about."""
    return set(re.split(r"\s+(?:AND|OR)\s+|[()]", licence)) - {""} - ALLOWED


def main() -> int:
    """Exit status 1 if a package's licence is not known or not allowed; then nothing is written."""
    wanted = {name: version for extra in LOCKS for name, version in locked(extra).items()}
    licences = {name: licence_of(name) for name in wanted}
    bad = {name: licence for name, licence in licences.items() if not licence or unknown(licence)}
    if bad:
        print(*(f"{name}: {licence!r}" for name, licence in sorted(bad.items())), sep="\n", file=sys.stderr)
        return 1
    lines = [
        "# What a release contains besides Nhịp",
        "",
        "Written by `scripts/licences.py` from `deploy/locks`; do not edit.",
        "",
    ]
    lines += ["| package | version | licence | on |", "|---|---|---|---|"]
    for name in sorted(wanted):
        where = ", ".join(word for extra, word in LOCKS.items() if name in locked(extra))
        lines.append(f"| {name} | {', '.join(wanted[name])} | {licences[name]} | {where} |")
    lines += ["", "| what packages and pages bring along | licence | of |", "|---|---|---|"]
    lines += [f"| {name} | {licence} | {whose} |" for name, licence, whose in FILES]
    (ROOT / "NOTICE.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
