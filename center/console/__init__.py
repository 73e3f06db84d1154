"""The center's console in the browser: `mount` puts it on the application that answers the API."""

from fastapi import FastAPI

from center.accounts.identify import Accounts
from center.runtime.state import CenterState


def mount(app: FastAPI, center: CenterState, accounts: Accounts | None = None) -> None:
    """Makes the console answer every path of `app` that the application has not taken.

    Once per process: NiceGUI has one application of its own. Pages are asked and drawn in the running event loop;
    the store is asked in threads. accounts: whose login and administration pages there are, none without.
    """
    from center.console.pages import add_pages  # noqa: PLC0415 - NiceGUI is loaded only where a console is wanted

    if accounts:
        from center.console.admin.pages import add_admin_pages  # noqa: PLC0415
        from center.console.session_pages import add_session_pages  # noqa: PLC0415

        add_session_pages(app, center, accounts)
        add_admin_pages(app, center, accounts)
    declaring = getattr(app.state, "declaring", None)
    if declaring:
        from center.console.declare.pages import add_declare_pages  # noqa: PLC0415

        add_declare_pages(app, center, declaring)
    add_pages(app, center, declares=declaring is not None)
