# make demo   a simulated factory, an agent, a broker and a center, in the browser
# make test   everything that is checked: lint, types, tests
# make quick  lint, types and the pure tests, in seconds: while you work
# make check  lint and types only
# make test-faults  the long rounds: kills, bad lines, refusing disks (a quarter of an hour)
# make package  what is handed out: wheel, Debian packages, SHA256SUMS, in dist/
# make test-package  packages in fresh Debians: the guide, power cuts, removal, agent to center, arm64 (half an hour; DEBIAN=13)
# make test-peers   foreign servers that take minutes to build (scripts/peer-*)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-faults test-peers quick check package test-package clean

demo: $(VENV)/.demo
	$(BIN)/nhip demo

test: $(VENV)/.test
	scripts/influxd
	scripts/nodeopcua
	scripts/gopcua
	scripts/milo
	scripts/brokers
	scripts/axe
	scripts/grafana_schema
	scripts/test

test-faults: $(VENV)/.test
	$(BIN)/pytest tests/faults --timeout 300 -n 2 --dist load
	HYPOTHESIS_PROFILE=deep $(BIN)/pytest tests/oee/advice/test_gain.py

test-peers: $(VENV)/.test
	for script in scripts/peer-*; do $$script; done
	$(BIN)/pytest -m peers --timeout 600

quick: $(VENV)/.test
	scripts/quick

check: $(VENV)/.test
	scripts/check

package: $(VENV)/.test
	scripts/package

test-package: $(VENV)/.test
	NHIP_DEBIAN=$(or $(DEBIAN),12) $(BIN)/pytest -m slow tests/deploy/test_package.py tests/deploy/test_center_package.py tests/deploy/test_arm64_package.py

$(VENV)/.demo: pyproject.toml
	scripts/install $(PYTHON) $(VENV) demo

$(VENV)/.test: pyproject.toml scripts/packages
	scripts/packages
	scripts/install $(PYTHON) $(VENV) test

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-data
