"""Fixtures of tests that look at pages of the console in a browser, which is loaded only where one of them is asked for."""

import pytest


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    """The console over three days of history."""
    from console_browser import served

    with served(tmp_path_factory.mktemp("console"), "--days", "3") as found:
        yield found


@pytest.fixture(scope="module")
def chromium():
    """A browser."""
    from browser import chromium as started_chromium

    with started_chromium() as found:
        yield found


@pytest.fixture
def tabs(plant, chromium):
    """Opens pages of the console, none of which may complain."""
    from console_browser import quiet_tabs

    with quiet_tabs(plant, chromium) as open_page:
        yield open_page
