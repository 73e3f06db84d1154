# make demo   a simulated factory, an agent, a broker and a center, in the browser
# make test   everything that is checked: lint, types, tests
# make check  lint and types only

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check clean

demo: $(VENV)/.demo
	$(BIN)/nhip demo

test: $(VENV)/.test
	scripts/influxd
	scripts/test

check: $(VENV)/.test
	scripts/check

$(VENV)/.demo: pyproject.toml
	scripts/install $(PYTHON) $(VENV) demo

$(VENV)/.test: pyproject.toml scripts/packages
	scripts/packages
	scripts/install $(PYTHON) $(VENV) test

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-data
