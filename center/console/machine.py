"""One machine."""
from center.console.ask import Desk
from center.state import Center


async def show(center: Center, desk: Desk, lang: str, which: tuple[str, str], asked: tuple[str, str]) -> None:
    """Builds the page."""
