# One door for people and for CI. Python 3.11 or newer and make are all that must be there.
#   make demo PYTHON=python3.12     picks another interpreter

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
PINS   := pyproject.toml constraints.txt
CODE   := hbpr tune cluster dashboards
PYTEST := $(BIN)/pytest tests $(CODE) --doctest-modules

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-long check fix bench clean

help:
	@echo "make demo       set up once, then run a small complete study (about a minute)"
	@echo "make test       set up once, then all checks and all tests"
	@echo "make test-long  tests that take longer: killed drivers, servers that go away, several nodes"
	@echo "make test-fast  the same without slow tests and those that start Ray"
	@echo "make check      format, lint, types, layers"
	@echo "make fix        format, and fix what the linter can"
	@echo "make bench      install the peers and run the benchmarks (hours; QUICK=1: minutes)"
	@echo "make clean      remove caches and built files; keep $(VENV) and all records"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or newer is needed; try make PYTHON=python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)

# A stamp is older than the pins only when they changed: a second call installs nothing.
$(VENV)/.installed: $(PINS) | $(BIN)/python
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(PINS) | $(BIN)/python
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/hbpr tune configs/quickstart.yaml

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports --no-logo

fix: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# A study of one worker leaves a core free: two at a time. Tests that share a Ray stay together, in
# the order that tests/conftest.py gives them; files without any need not be imported.
test: check
	$(PYTEST) -m "not ray and not long" -n 2 --dist worksteal
	$(BIN)/pytest $$(grep -rl --include="test_*.py" mark.ray tests | sort) -m "ray and not long" -n 2 --dist loadgroup --no-loadscope-reorder

test-long: $(VENV)/.installed-dev
	$(BIN)/pytest $$(grep -rl --include="test_*.py" mark.long tests | sort) -m long -n 2 --dist loadgroup --no-loadscope-reorder

test-fast: check
	$(PYTEST) -m "not ray and not slow and not long" -n 2 --dist worksteal

# Each peer gets an environment of its own in .venv-bench; one that cannot be installed is reported.
bench: $(VENV)/.installed-dev
	$(BIN)/python tests/benchmarks/environments.py
	$(BIN)/python tests/benchmarks/report.py $(if $(QUICK),--quick)

clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(CODE) tests -name __pycache__ -type d -prune -exec rm -rf {} +
