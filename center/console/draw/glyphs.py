"""One symbol for each state, so that states differ by more than colour; and the logo. Pure."""

from typing import Final

from markupsafe import Markup

# Drawn on a 16 x 16 grid; `currentColor` is the state's colour.
_SHAPES: Final = {
    "running": '<path d="M4.5 2.8v10.4L13 8z" fill="currentColor"/>',
    "minor_stop": '<path d="M4.5 3h2.4v10H4.5zM9.1 3h2.4v10H9.1z" fill="currentColor"/>',
    "unplanned_stop": '<rect x="3.2" y="3.2" width="9.6" height="9.6" rx="1.4" fill="currentColor"/>',
    "breakdown": '<path d="M8 1.6 15 14H1z" fill="currentColor"/><path d="M7.3 5.8h1.4l-.2 4.2h-1zM7.3 10.9h1.4v1.4H7.3z"'
    ' fill="var(--surface)"/>',
    "setup": '<path d="M2 5.2h9M8.4 2.4l3 2.8-3 2.8M14 10.8H5M7.6 8l-3 2.8 3 2.8" fill="none" stroke="currentColor"'
    ' stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"/>',
    "starved": '<path d="M1.6 8h5.6M4.8 5.2 7.6 8l-2.8 2.8" fill="none" stroke="currentColor" stroke-width="1.8"'
    ' stroke-linecap="round" stroke-linejoin="round"/><rect x="9.6" y="3.4" width="4.8" height="9.2" rx="1.2" fill="none"'
    ' stroke="currentColor" stroke-width="1.6" stroke-dasharray="2.2 1.6"/>',
    "blocked": '<rect x="1.6" y="3.4" width="4.8" height="9.2" rx="1.2" fill="currentColor"/>'
    '<path d="M8.4 8h3.2M13.8 3.2v9.6" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round"/>',
    "planned_stop": '<circle cx="8" cy="8" r="5.8" fill="none" stroke="currentColor" stroke-width="1.8"/>'
    '<path d="M8 4.8V8l2.2 1.6" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round"/>',
    "unknown": '<path d="M5.2 5.9a2.8 2.8 0 1 1 4.1 2.5c-.9.5-1.3.9-1.3 1.9" fill="none" stroke="currentColor"'
    ' stroke-width="1.8" stroke-linecap="round"/><circle cx="8" cy="13" r="1.15" fill="currentColor"/>',
}
_SVG: Final = '<svg class="glyph" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">{}</svg>'

GLYPHS: Final = {state: Markup(_SVG.format(shape)) for state, shape in _SHAPES.items()}  # noqa: S704 - constants above
PULSE: Final = Markup(
    '<svg class="pulse" viewBox="0 0 34 20" width="34" height="20" aria-hidden="true"><path d="M1 11h7l3-8 5 14 4-10 2.4 4H33"'
    ' fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"/></svg>'
)
SUN: Final = Markup(
    '<svg class="sun" viewBox="0 0 20 20" width="18" height="18" aria-hidden="true"><circle cx="10" cy="10" r="3.6" fill='
    '"currentColor"/><path d="M10 1.8v2.4M10 15.8v2.4M1.8 10h2.4M15.8 10h2.4M4.2 4.2l1.7 1.7M14.1 14.1l1.7 1.7M15.8 4.2l-1.7'
    ' 1.7M5.9 14.1l-1.7 1.7" stroke="currentColor" stroke-width="1.7" stroke-linecap="round"/></svg>'
    '<svg class="moon" viewBox="0 0 20 20" width="18" height="18" aria-hidden="true"><path d="M16.6 12.4A7 7 0 0 1 7.6 3.4a7'
    ' 7 0 1 0 9 9z" fill="currentColor"/></svg>'
)
PERSON: Final = Markup(
    '<svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true"><circle cx="10" cy="6.6" r="3.4" fill="currentColor"/>'
    '<path d="M3.4 17.2c.5-3.6 3.2-5.6 6.6-5.6s6.1 2 6.6 5.6z" fill="currentColor"/></svg>'
)
MENU: Final = Markup(
    '<svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true"><path d="M3 5.5h14M3 10h14M3 14.5h14" fill="none"'
    ' stroke="currentColor" stroke-width="1.8" stroke-linecap="round"/></svg>'
)
HATCH: Final = Markup(
    '<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs><pattern id="hatch" width="6" height="6"'
    ' patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" fill="var(--hatch-bg)"/>'
    '<rect width="2" height="6" fill="var(--unknown)"/></pattern></defs></svg>'
)
