"""Draws the pictures of docs/advice.md and docs/advice.vi.md, and prints what the center would say beside each.

Each rule looks at the history in which its cause is planted (tests/histories.py); the picture is the console's own, taken by a
browser: `advice_docs.py [--chromium /usr/bin/chromium] [RULE ...]`. Needs playwright.
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from histories import KEYS, PLANTED, ZONE, history  # noqa: E402  # the checkout's own
from playwright.sync_api import Page, sync_playwright  # noqa: E402

from center.console.advice.pictures import picture  # noqa: E402
from oee.advice.catalogue import rules, watched  # noqa: E402
from oee.advice.finding import Finding  # noqa: E402
from words import LANGUAGES, say  # noqa: E402
from words.findings import finding_part  # noqa: E402

IMAGES = ROOT / "docs" / "images" / "advice"
STYLE = (ROOT / "center" / "console" / "style.css").read_text(encoding="utf-8")
WIDTH = 640


def main() -> int:
    """Writes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rules", nargs="*", choices=[[], *PLANTED], default=[])
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 400})
        for key in options.rules or PLANTED:
            finding = _found(key)
            for lang in LANGUAGES:
                _draw(page, finding, lang)
                print(f"{key} [{lang}] {_said(finding, lang)}")
        browser.close()
    return 0


def _found(key: str) -> Finding:
    """What the rule finds of its planted cause."""
    right = KEYS.get(key, lambda _: True)
    return next(item for item in watched(rules()[key].find(history(PLANTED[key], 1))) if right(item.key))


def _said(finding: Finding, lang: str) -> str:
    return finding_part("says", finding.rule, finding.key, finding.figures, finding.names, lang)


def _draw(page: Page, finding: Finding, lang: str) -> None:
    row = {"rule": finding.rule, "key": finding.key, "figures": finding.figures, "names": finding.names}
    drawn = picture(row | {"evidence": asdict(finding.evidence)}, ZONE, lang)
    name = say(f"advice.{finding.rule}.name", lang)
    body = f"<main class=page style='padding:10px 14px'><b>{name}</b>{drawn}</main>"
    page.set_content(f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><body>{body}")
    page.locator("main").screenshot(path=IMAGES / f"{finding.rule}-{lang}.png")


if __name__ == "__main__":
    sys.exit(main())
