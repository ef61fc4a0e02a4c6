# make run [ADDRPORT=8001]   set up and serve the demo project
# make test [PYTEST_ARGS="-k handshake"]
# make faults                tests that take minutes or both cores: floods, thousands of sockets, a real PostgreSQL
# make docs                  the documentation, into docs/_build/html
# make compat                well-known packages, each in a project of its own
# make soak [MINUTES=2]      connections and faults at random (SEED=... to have them again), then check for leaks

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --quiet --disable-pip-version-check
ADDRPORT ?=
PYTEST_ARGS ?=
MINUTES ?= 2
SEED ?=
CASES ?=
QUICK ?=

.PHONY: run test docs compat faults soak lint types conformance bench clean

run: $(VENV)/.stamp-run
	$(BIN)/python manage_ws.py migrate --verbosity 0
	$(BIN)/python manage_ws.py runwsserver $(ADDRPORT)

test: $(VENV)/.stamp-test
	$(BIN)/python -m pytest $(PYTEST_ARGS)

faults: $(VENV)/.stamp-test
	$(BIN)/python -m pytest -m heavy $(PYTEST_ARGS)

soak: $(VENV)/.stamp-test
	$(BIN)/python -m tests.faults.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

docs: $(VENV)/.stamp-docs
	$(BIN)/python -m sphinx -q -E -W -n --keep-going docs docs/_build/html

# Writes docs/reference/packages.rst.
compat: $(VENV)/.stamp-compat
	$(BIN)/python -m tests.packages

lint: $(VENV)/.stamp-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.stamp-dev
	$(BIN)/mypy

# make conformance [CASES="7.* 9.1.1"]
conformance: $(VENV)/.stamp-test
	$(BIN)/python -m tests.compliance $(CASES)

# make bench [QUICK=1 | SMOKE=1]
bench: $(BIN)/python
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(SMOKE),--smoke)

clean:
	rm -rf $(VENV) .conformance benchmarks/.venv docs/_build build dist *.egg-info .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp newer than setup.cfg means that its requirements are installed.
$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is required: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.stamp-run: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[redis,speedups]'
	@touch $@

$(VENV)/.stamp-test: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[speedups,test]'
	@touch $@ $(VENV)/.stamp-run

$(VENV)/.stamp-docs: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[docs]'
	@touch $@

$(VENV)/.stamp-compat: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[speedups,test,compat]'
	@touch $@ $(VENV)/.stamp-run $(VENV)/.stamp-test

$(VENV)/.stamp-dev: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[speedups,dev]'
	@touch $@ $(VENV)/.stamp-run $(VENV)/.stamp-test
