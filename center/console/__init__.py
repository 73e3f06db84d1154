"""The web console: `mount` adds it to the application that serves the API."""

from fastapi import FastAPI

from center.accounts.identify import Accounts
from center.runtime.state import CenterState


def mount(app: FastAPI, center: CenterState, accounts: Accounts | None = None) -> None:
    """Adds the console's pages, which answer every path that the API does not.

    Call it once per process: NiceGUI has one application of its own. Pages are built in the running event loop; the
    store is queried in threads. accounts: adds login and administration pages, none without it.
    """
    from center.console.document import add_error_pages  # noqa: PLC0415
    from center.console.pages import add_pages  # noqa: PLC0415 - NiceGUI is loaded only where a console is wanted

    if accounts:
        from center.console.admin.pages import add_admin_pages  # noqa: PLC0415
        from center.console.session.account import add_account_pages  # noqa: PLC0415
        from center.console.session.code import add_code_pages  # noqa: PLC0415
        from center.console.session.login import add_login_pages  # noqa: PLC0415
        from center.console.session.safety import add_safety_pages  # noqa: PLC0415

        add_login_pages(app, center, accounts)
        add_code_pages(app, center, accounts)
        add_account_pages(app, center, accounts)
        add_safety_pages(app, center, accounts)
        add_admin_pages(app, center, accounts)
    declaring = getattr(app.state, "declaring", None)
    if declaring:
        from center.console.declare.many import add_many_pages  # noqa: PLC0415
        from center.console.declare.pages import add_declare_pages  # noqa: PLC0415

        add_many_pages(app, center, declaring)
        add_declare_pages(app, center, declaring)
    aiming = getattr(app.state, "targets", None)
    if aiming:
        from center.console.targets.page import add_target_pages  # noqa: PLC0415

        add_target_pages(app, center, aiming)
    advice = getattr(app.state, "findings", None)
    if advice:
        from center.console.advice.pages import add_advice_pages  # noqa: PLC0415

        add_advice_pages(app, center, advice)
    actions = getattr(app.state, "actions", None)
    if actions:
        from center.console.advice.action_pages import add_action_pages  # noqa: PLC0415

        add_action_pages(app, center, actions)
    from center.console.worklist.page import add_worklist_page  # noqa: PLC0415

    alerts = getattr(app.state, "alerts", None)
    open_alerts = alerts.open if alerts else None
    add_worklist_page(app, center, open_alerts, declares=declaring is not None)
    from center.console.fleet.comparison_page import add_comparison_page  # noqa: PLC0415
    from center.console.fleet.losses_page import add_losses_page  # noqa: PLC0415

    add_losses_page(app, center)
    add_comparison_page(app, center)
    decisions = getattr(app.state, "box_decisions", None)
    if decisions:
        from center.console.delivery.decision import add_decision_pages  # noqa: PLC0415

        add_decision_pages(app, center, decisions)
    add_error_pages(app, center)
    add_pages(app, center, open_alerts, declares=declaring is not None, decides=decisions is not None)
