"""Writes docs/kpis.md and docs/kpis.vi.md from the KPI table in `oee/kpi/kpi.py`: `kpi_docs.py [--check]`.

With `--check` nothing is written: the names of pages that are out of date, and exit status 1 if there are any. Exit status 2: a
phrase of the table has no Vietnamese in scripts/kpi_docs.vi.yaml, or that file has one that the table no longer says.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from oee.kpi.kpi import KPIS, ORDER_KPIS, Kpi  # noqa: E402  # the checkout's own, whether or not it is installed
from words.catalogue import catalogue  # noqa: E402

PAGES = {"en": ROOT / "docs" / "kpis.md", "vi": ROOT / "docs" / "kpis.vi.md"}
TRANSLATED = ("formula", "source", "null")
UNITS = {"1": {"vi": "1 (hiện bằng %)", "en": "1 (shown in %)"}, "s": {"vi": "giây", "en": "s"},
         "1/h": {"vi": "1/giờ", "en": "1/h"}}  # fmt: skip
OTHER = {"vi": "en", "en": "vi"}


def main() -> int:
    """Writes or checks the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is out of date")
    options = parser.parse_args()
    phrases = _read("kpi_docs.vi.yaml")
    phrases_used = {getattr(kpi, name) for kpi in (*KPIS, *ORDER_KPIS) for name in TRANSLATED}
    missing = sorted(text for text in phrases_used - phrases.keys() if _has_words(text))
    if missing or phrases.keys() - phrases_used:
        for text in missing:
            print(f"scripts/kpi_docs.vi.yaml: add the Vietnamese for {text!r}", file=sys.stderr)
        for text in sorted(phrases.keys() - phrases_used):
            print(f"scripts/kpi_docs.vi.yaml: remove {text!r}, oee/kpi/kpi.py no longer uses it", file=sys.stderr)
        return 2
    frame = _read("kpi_docs.yaml")
    old = []
    for lang, path in PAGES.items():
        text = _page(lang, frame, phrases)
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        old.append(path)
        if not options.check:
            path.write_text(text, encoding="utf-8")
    for path in old:
        name = path.relative_to(ROOT)
        print(f"{name}: out of date; run scripts/kpi_docs" if options.check else f"{name}: written")
    return 1 if old and options.check else 0


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe", pure=True).load((ROOT / "scripts" / name).read_text(encoding="utf-8"))
    return found


def _has_words(text: str) -> bool:
    """Whether there is anything to translate: names, standards' own terms and symbols stand as they are."""
    return not re.fullmatch(r"(Nakajima|Vorne|ISO)\b.*|MTTF .*|[^a-z]*", text)


def _page(lang: str, frame: dict[str, Any], phrases: dict[str, str]) -> str:
    page = frame["page"]
    parts = [f"# {page['title'][lang]}", f"<!-- {page['generated'][lang]} -->"]
    parts += [page["law"][lang], page["formulas"][lang]]
    parts += [f"## {page['terms_title'][lang]}", _terms(lang, frame["terms"])]
    parts += [f"## {page['table_title'][lang]}", _table(lang, frame["columns"], phrases)]
    parts += [
        f"## {page['orders_title'][lang]}",
        page["orders"][lang],
        _table(lang, frame["columns"], phrases, ORDER_KPIS),
    ]
    parts += [f"## {page['reasons_title'][lang]}", _reasons(lang)]
    parts += [f"## {page['sources_title'][lang]}", "\n".join(f"* {item[lang]}" for item in frame["sources"])]
    return "\n\n".join(parts) + "\n"


def _terms(lang: str, terms: list[dict[str, Any]]) -> str:
    rows = []
    for item in terms:
        name = item["term"] if isinstance(item["term"], str) else item["term"][lang]
        rows.append(f"* **{name}**: {item[lang]}")
    return "\n".join(rows)


def _table(
    lang: str, columns: dict[str, dict[str, str]], phrases: dict[str, str], table: tuple[Kpi, ...] = KPIS
) -> str:
    head = [columns[name][lang] for name in columns]
    rows = [head, ["---"] * len(head), *(_cells(kpi, lang, phrases) for kpi in table)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cells(kpi: Kpi, lang: str, phrases: dict[str, str]) -> list[str]:
    names = catalogue()[f"kpi.{kpi.key}"]
    texts = [getattr(kpi, name) for name in TRANSLATED]
    if lang == "vi":
        texts = [phrases.get(text, text) for text in texts]
    formula, source, null = (text.replace(" x ", " × ") for text in texts)
    cells = [f"`{kpi.key}`", names[lang], names[OTHER[lang]], kpi.symbol, UNITS[kpi.unit][lang], formula, source, null]
    return [cell.replace("|", "\\|") for cell in cells]


def _reasons(lang: str) -> str:
    """Those that the table can give, by their key in the API's `why_null`."""
    source = (ROOT / "oee" / "kpi" / "kpi.py").read_text(encoding="utf-8")
    keys = sorted(
        key for key in catalogue() if key.startswith("why_null.") and f'"{key.removeprefix("why_null.")}"' in source
    )
    return "\n".join(f"* `{key.removeprefix('why_null.')}`: {catalogue()[key][lang]}" for key in keys)


if __name__ == "__main__":
    sys.exit(main())
