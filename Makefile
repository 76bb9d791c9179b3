# Everything a developer runs. On a fresh machine Python >= 3.11 with pip and a package index are
# enough: the virtual environment is made on first use and kept until pyproject.toml changes.
#
#   make demo     a charging session, car and charger in one process
#   make test     the tests
#   make help     the rest

VENV ?= .venv
SEED ?= 1
RUNS ?= 1000

# The newest usable interpreter, unless PYTHON names one.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
    "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)

BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed-run
TEST_STAMP := $(VENV)/.installed-test
DEV_STAMP := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help demo test check format lint types layers cover smoke examples docs bench interop fuzz sim plug attack changelog clean

help:
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

# --- environments ------------------------------------------------------------------------------

# Some systems ship `venv` without the pip that goes inside; then the outer pip installs into it.
define make_venv
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 found. Install one, or name it: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11 (or missing); name another: make PYTHON=... $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "making $(VENV) with $(PYTHON)"; \
	    "$(PYTHON)" -m venv $(VENV) >/dev/null 2>&1 || "$(PYTHON)" -m venv --without-pip $(VENV); }
endef
define install
	@echo "installing $(1) into $(VENV)"
	@if $(BIN)/python -m pip --version >/dev/null 2>&1; \
	    then $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '$(1)'; \
	    else "$(PYTHON)" -m pip --python $(BIN)/python install --quiet --disable-pip-version-check -e '$(1)'; fi
	@touch $@
endef

$(RUN_STAMP): pyproject.toml
	$(make_venv)
	$(call install,.)

$(TEST_STAMP): pyproject.toml
	$(make_venv)
	$(call install,.[test])
	@touch $(RUN_STAMP)

$(DEV_STAMP): pyproject.toml
	$(make_venv)
	$(call install,.[dev])
	@touch $(RUN_STAMP) $(TEST_STAMP)

# --- run ---------------------------------------------------------------------------------------

demo: $(RUN_STAMP) ## a charging session, car and charger in one process
	$(BIN)/iso15118 demo

test: $(TEST_STAMP) ## all tests that need no other implementation
	$(BIN)/python -m pytest -m "not interop" $(PYTEST_ARGS)

sim: $(RUN_STAMP) ## RUNS seeds with faults for each service and control mode, from SEED on
	$(BIN)/python -m iso15118.sim.soak --first $(SEED) --seeds $(RUNS) --jobs 2

plug: $(RUN_STAMP) ## RUNS seeds from plug to unplug, with mishaps, for each service and control mode
	$(BIN)/python -m iso15118.sim.soak --plug --first $(SEED) --seeds $(RUNS) --jobs 2

attack: $(RUN_STAMP) ## RUNS seeds under attack on certificates, connection and messages
	$(BIN)/python -m iso15118.sim.soak --secure --first $(SEED) --seeds $(RUNS) --jobs 2

fuzz: $(TEST_STAMP) ## property tests with many random examples (SEED=n repeats a run)
	$(BIN)/python -m pytest -m "hypothesis and not interop" --hypothesis-profile=fuzz --hypothesis-seed=$(SEED) -o timeout=0 $(PYTEST_ARGS)

interop: $(TEST_STAMP) ## sessions against another implementation (skips where it cannot run)
	@test -n "$$ECOG_PYTHON" || $(BIN)/python tests/interop/matrix.py --install || true
	$(BIN)/python -m pytest tests/interop $(PYTEST_ARGS)

bench: $(RUN_STAMP) ## measurements; each prints a table
	@set -e; for script in $(sort $(wildcard bench/[a-z]*.py)); do echo "== $$script"; $(BIN)/python $$script; done

# --- check -------------------------------------------------------------------------------------

check: format lint types layers cover smoke examples docs ## everything below, in this order

format: $(DEV_STAMP) ## is the code formatted?
	$(BIN)/ruff format --check .

lint: $(DEV_STAMP) ## ruff
	$(BIN)/ruff check .

types: $(DEV_STAMP) ## mypy --strict
	$(BIN)/mypy

layers: $(DEV_STAMP) ## who may import whom
	$(BIN)/lint-imports --no-logo

cover: $(DEV_STAMP) ## tests, with branch coverage of all that decides
	$(BIN)/coverage run -m pytest -m "not interop" $(PYTEST_ARGS)
	$(BIN)/coverage report

smoke: $(RUN_STAMP) ## a few simulated sessions
	$(BIN)/iso15118 simulate --seed $(SEED) --runs 5 --faults
	$(BIN)/iso15118 simulate --plug --seed $(SEED) --runs 3 --faults

examples: $(RUN_STAMP) ## every example runs
	@set -e; for script in $(sort $(wildcard examples/[0-9]*.py)); do echo "== $$script"; $(BIN)/python $$script; done

docs: $(DEV_STAMP) ## the manual, into docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

changelog: $(DEV_STAMP) ## what the next release will say
	$(BIN)/towncrier build --draft

clean: ## remove environment, caches and generated files
	@test ! -f $(VENV)/pyvenv.cfg || rm -rf $(VENV)
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* \
	    docs/_build docs/_generated
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
