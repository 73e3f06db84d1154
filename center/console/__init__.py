"""The center's console in the browser: `mount` puts it on the application that answers the API."""

from fastapi import FastAPI

from center.state import Center


def mount(app: FastAPI, center: Center) -> None:
    """Makes the console answer every path of `app` that the application has not taken.

    Once per process: NiceGUI has one application of its own. Pages are asked and drawn in the running event loop;
    the store is asked in threads.
    """
    from center.console.pages import add_pages  # noqa: PLC0415 - NiceGUI is loaded only where a console is wanted

    add_pages(app, center)
