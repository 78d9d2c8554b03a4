# One door for people and for CI. Python 3.11 or newer and make are all that must be there; uv is
# used to install where it is there.
#   make demo PYTHON=python3.12     picks another interpreter
#   make demo UV=                   installs with pip

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     ?= $(shell command -v uv 2>/dev/null)
PIP    := $(if $(UV),$(UV) pip install --python $(BIN)/python,$(BIN)/python -m pip --disable-pip-version-check install)
PINS   := pyproject.toml constraints.txt
CODE   := hbpr tune cluster dashboards
PYTEST := $(BIN)/pytest tests $(CODE) --doctest-modules

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-long check fix bench release-check clean

# One line in place of what a package manager prints; that goes to a log, which an error names.
define INSTALL_SH
log=$(VENV)/install.log; start=$$(date +%s)
seconds() { echo $$(($$(date +%s) - start)); }
"$$@" >"$$log" 2>&1 &
pid=$$!
trap 'kill $$pid 2>/dev/null; echo; exit 130' INT TERM
if [ -t 1 ]; then
  while kill -0 $$pid 2>/dev/null; do
    last=$$(tail -n 1 "$$log" | tr -d '\r' | cut -c 1-56)
    printf '\rinstalling into $(VENV), %s s  %-56s' "$$(seconds)" "$$last"
    sleep 1
  done
  printf '\r\033[K'
else
  echo "installing into $(VENV); a few minutes, with a log in $$log"
fi
wait $$pid; code=$$?
if [ $$code -ne 0 ]; then
  echo "error: the installation failed after $$(seconds) s; its last lines, all of them in $$log:" >&2
  tail -n 8 "$$log" >&2
  exit $$code
fi
echo "installed into $(VENV) in $$(seconds) s, $$(du -sm $(VENV) | cut -f 1) MB"
endef
export INSTALL_SH
INSTALL := sh -c "$$INSTALL_SH" install $(PIP)

help:
	@echo "make demo           set up once, then run a small complete study (20 seconds)"
	@echo "make test           set up once, then all checks and all tests"
	@echo "make test-long      tests that take longer: killed drivers, servers that go away, several nodes"
	@echo "make test-fast      the same without slow tests and those that start Ray"
	@echo "make check          format, lint, types, layers"
	@echo "make fix            format, and fix what the linter can"
	@echo "make bench          install the peers and run the benchmarks (hours; QUICK=1: minutes)"
	@echo "make release-check  build wheel and sdist, and use them outside of the checkout"
	@echo "make clean          remove caches and built files; keep $(VENV) and all records"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or newer is needed; try make PYTHON=python3.11"; exit 2; }
	@$(PYTHON) -m venv $(VENV)

# A stamp is older than the pins only when they changed: a second call installs nothing.
$(VENV)/.installed: $(PINS) | $(BIN)/python
	@$(INSTALL) -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(PINS) | $(BIN)/python
	@$(INSTALL) -c constraints.txt -e '.[dev]'
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

# Builds, checks what is in the files, and installs into an environment of its own.
release-check: $(VENV)/.installed-dev
	$(BIN)/python tests/release/check.py

clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(CODE) tests -name __pycache__ -type d -prune -exec rm -rf {} +
