"""The whole suite of the InfluxDB store against the other versions that are supported: `make test-peers`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from influx_plant import binary

HERE = Path(__file__).parent
SUITE = (
    "test_store_conformance", "test_influx_store", "test_influx_hours", "test_influx_aside", "test_influx_center", "test_series",
    "test_recount",
)  # fmt: skip


@pytest.mark.peers
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("version", ["1.13.2", "2.7.12"])
def test_the_suite_passes_on(version):
    if not binary(version).exists():
        pytest.skip(f"no influxd {version}: run scripts/peer-influxd")
    files = [str(HERE / f"{name}.py") for name in SUITE]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not duckdb", *files]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NHIP_TEST_INFLUX")}
    done = subprocess.run(
        command,
        cwd=HERE.parents[1],
        env=environment | {"NHIP_TEST_INFLUX_VERSION": version},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
