"""Everything that the API's description allows, asked: no answer is an accident, and each is what the description says.

That a request which the description allows is never refused is not asked: a schema cannot say that `from` lies before
`to`, nor which sites there are.
"""

import pytest
import schemathesis
from api_plant import fill
from center_plant import mosquitto, ns
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance
from tenants import found_at, said_at

from center.api.quarantine import NDJSON
from center.database.declarations import open_declarations
from center.database.findings import open_findings
from center.database.notices import open_notices, store_notices
from center.ingest.declaration_sender import DeclarationSender
from center.ingest.mqtt import BrokerSettings
from center.ingest.worker import Ingest
from center.model.viewer import EVERYTHING
from center.run.application import application
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store


@schemathesis.serializer(NDJSON)
def lines(_context, value):
    return str(value).encode()


async def _everything(_connection):
    return EVERYTHING


@pytest.fixture(scope="module")
def operations(tmp_path_factory):
    """By method and path."""
    store = open_store({"file": str(tmp_path_factory.mktemp("api") / "nhip.duckdb")})
    center = center_state(store, now_ns=lambda: ns("2026-03-02T10:00:20"))
    fill(center)
    with mosquitto(tmp_path_factory.mktemp("broker")) as port:
        ingest = Ingest(center, BrokerSettings("127.0.0.1", port))
        ingest.start()
        url = f"sqlite:///{tmp_path_factory.mktemp('said')}/said.sqlite"
        declaring = DeclarationSender(open_declarations(url), ingest.publish, center.now_ns)
        notices = open_notices(url)
        store_notices(notices, "van-long", "main", said_at("van-long"))
        findings = open_findings(url)
        found_at(findings, "van-long")
        app = application(center, ingest, declaring, identify=_everything, notices=notices, findings=findings)
        schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)
        found = [item.ok() for item in schema.get_all_operations()]
        yield {f"{operation.method.upper()} {operation.path}": operation for operation in found}
        ingest.stop()
    store.close()


def test_every_answer_is_as_described(operations, subtests):
    assert len(operations) > 10
    for name, operation in operations.items():
        with subtests.test(name):

            @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
            @given(case=operation.as_strategy())
            def asked(case):
                case.call_and_validate(excluded_checks=[positive_data_acceptance])

            asked()
