"""What every command shares: in which language it speaks, and whether it prints JSON. It imports click alone."""

import os

import click


def language() -> str:
    """Vietnamese where the terminal speaks it, else English."""
    told = os.environ.get("NHIP_LANG") or os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return "vi" if told.lower().startswith("vi") else "en"


json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
lang_option = click.option(
    "--lang", type=click.Choice(("vi", "en")), default=language, help="Language of what is printed."
)
