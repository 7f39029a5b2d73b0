# Everything that is done with this repository. CI calls these targets and nothing else.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo up test browser lint format types scripts contracts migrations compose audit check chaos techniques reference latency overhead scale load soak recovery peers bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.embedded ## Start the whole system, train three real jobs, show their curves; serves until Ctrl-C
	@$(BIN)/holdout demo

up: $(VENV)/.embedded ## Serve until Ctrl-C (HOLDOUT_PORT, default 8000; HOLDOUT_HOME, the data folder)
	@$(BIN)/holdout up

test: $(VENV)/.dev ## Run all tests, with a real PostgreSQL, queue and worker
	$(BIN)/python -m pytest

browser: ## Install Chromium, which the dashboard's tests drive, where it is missing (Debian, as root)
	@command -v chromium > /dev/null || (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium)

lint: $(VENV)/.dev ## Check style: ruff with every rule on
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev ## Check types: mypy, strict
	$(BIN)/mypy

scripts: ## Check types of the pages' scripts: tsc, installed where it is missing (Debian, as root)
	@command -v tsc > /dev/null || (apt-get update -qq && apt-get install -y -qq --no-install-recommends node-typescript)
	tsc --project jsconfig.json

contracts: $(VENV)/.dev ## Check that imports point one way
	$(BIN)/lint-imports

migrations: $(VENV)/.dev ## Check that migrations make exactly the declared tables, on SQLite and PostgreSQL
	$(BIN)/python -m pytest tests/migrations

compose: $(VENV)/.dev ## Check docker-compose.yml and Dockerfile
	$(BIN)/python -m pytest tests/repository/test_containers.py

audit: $(VENV)/.dev ## Look the pinned versions up among known vulnerabilities; fails where the advisory service cannot be asked
	$(BIN)/pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement constraints.txt

check: test lint types scripts contracts migrations compose ## Everything that CI checks

FAULTS ?= 500
SEED ?=
DATABASE ?= postgresql
MINUTES ?= 45
chaos: $(VENV)/.dev ## Disturb a whole system FAULTS times and check that no job suffers (SEED; DATABASE, postgresql or sqlite; MINUTES)
	$(BIN)/python -m tests.chaos --faults $(FAULTS) --database $(DATABASE) --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

techniques: $(VENV)/.dev ## Write docs/techniques.md from the specs
	$(BIN)/python -c 'from pathlib import Path; from api.techniques import page; Path("docs/techniques.md").write_text(page())'

reference: $(VENV)/.dev ## Write docs/reference.md from the OpenAPI document
	$(BIN)/python docs/reference.py

latency: $(VENV)/.dev ## Measure POST to succeeded beside a bare training script
	$(BIN)/python benchmarks/latency.py

overhead: $(VENV)/.dev ## Measure what the service costs beyond training, on SQLite and on PostgreSQL (ROUNDS)
	$(BIN)/python benchmarks/overhead.py --rounds $(or $(ROUNDS),30)

scale: $(VENV)/.dev ## Measure throughput against workers, costs a job, large queues and long curves
	$(BIN)/python benchmarks/scale.py

load: $(VENV)/.dev ## Measure one API under 10 000 jobs, 200 pollers and 100 event streams (MINUTES, 10)
	$(BIN)/python benchmarks/load.py --minutes $(or $(MINUTES),10)

soak: $(VENV)/.dev ## Measure the memory of one worker over 5 000 jobs (JOBS)
	$(BIN)/python benchmarks/soak.py --jobs $(or $(JOBS),5000)

recovery: $(VENV)/.dev ## Measure how soon killed workers' jobs go on, and submissions while the queue is down for a minute
	$(BIN)/python benchmarks/recovery.py

PEERS ?= $(firstword $(wildcard peers/bin/python) $(BIN)/python)
peers: ## Install the libraries that benchmarks run beside, in an environment of their own (folder peers; Java comes with the system)
	test -x peers/bin/python || $(PYTHON) -m venv peers
	peers/bin/python -m pip install --quiet --requirement benchmarks/peers.txt

bench: $(VENV)/.dev ## Measure everything that has a target beside its peers, write docs/benchmarks.md (PEERS, a Python that has them; ONLY, parts)
	$(BIN)/python benchmarks/bench.py --peers $(PEERS) $(if $(ONLY),--only $(ONLY))

clean: ## Delete environments, caches and the embedded system's data
	rm -rf $(VENV) peers .holdout .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info build

# An environment is made once, and again when what it holds changes.
$(VENV)/.embedded: pyproject.toml constraints.txt
	@$(call install,embedded)

$(VENV)/.dev: pyproject.toml constraints.txt
	@$(call install,dev)
	@touch $(VENV)/.embedded

define install
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Holdout needs Python 3.11 or newer; PYTHON=... chooses one" >&2; exit 1; }; \
test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: install your system's python3-venv" >&2; exit 1; }; \
echo "installing (a few minutes the first time) ..." && \
$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(1)]' && \
touch $(VENV)/.$(1)
endef
