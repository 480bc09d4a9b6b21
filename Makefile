# Needs make and Python 3.11 or later; everything else is installed into .venv.
#
#   make demo     the example's tests on a real PostgreSQL from a wheel, and what happened
#   make demo-ts  the same in TypeScript: Fastify, Prisma, Vitest (needs Node 20 or later)
#   make test     everything: lint, types, floors, all tests, on the lowest and the highest Python here
#   make client   the npm package, built (needs Node 20 or later)
#   make lint     ruff and import-linter            make types    mypy --strict
#   make format   rewrite what ruff would complain about
#   make bench    each claim of speed, measured     make bench-ts  those of the npm package
#   make docs     the pages and lists that are made from the source
#   make matrix   docs/support-matrix.md, from what the servers that are here do (minutes)
#   make workloads ARGS="FOLDER [--seeded] [--only NAME]"    the .sql files of a folder, each test undone and audited
#   make nightly  ten thousand generated workloads, each audited (hours), and whatever else takes long or is repetition
#   make lock     resolve the dependencies anew
#   make clean    remove all that was made here

PYTHON ?= $(shell sh tools/find-python lowest)
ARGS   ?=
# How many processes run the tests: with ARGS="-n 0" one, which can be debugged. On two processors three: they wait
# for servers and for other processes for a fifth of their time.
WORKERS := -n 3 --dist worksteal

BIN     := .venv/bin
CLIENT  := clients/typescript
SHOP    := examples/typescript
BENCH   := benchmarks/typescript
NODE    := $(shell node -p 'process.versions.node.split(".")[0] >= 20 || ""' 2>/dev/null)
INDEX   := https://pypi.org/simple
PINNED  := pyproject.toml uv.lock
# Each target's output in one piece, where make can do that.
WHOLE    = $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
# What thousands of examples are generated for by night.
GENERATED = tests/workloads/test_random.py tests/workloads/test_whole_server.py tests/hard_cases/test_like_reset.py \
	tests/suites/test_suites.py $(wildcard tests/*/test_broken_off.py)
SECTION  = @printf '\n== %s\n' "$(1)"

export UV_PYTHON_DOWNLOADS := never
# Compiled modules are what makes the second run, and each pytest that a test starts, a fast one.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo demo-ts test prepared tested check ready ready-newest ready-client tests newest client client-tests nightly matrix workloads lint types format bench bench-ts docs lock clean

help:
	@sed -n 's/^#   //p' Makefile

# --- what users look at -------------------------------------------------------------------------------------------

# pytest-django, where `make test` has installed it, has a fixture named `db` as well.
demo: .venv/.demo
	cd examples/orders && ../../$(BIN)/python -m pytest -p no:django --seatrial-explain $(ARGS)

# Node finds Seatrial in the virtual environment that it is in.
demo-ts: .venv/.demo $(SHOP)/node_modules/.installed
	cd $(SHOP) && PATH="$(CURDIR)/$(BIN):$$PATH" npx vitest run $(ARGS)

# --- what must hold -----------------------------------------------------------------------------------------------

test:
	@$(MAKE) --no-print-directory prepared
	@$(MAKE) --no-print-directory tested

# The types are checked by one processor, and a package manager waits for the network: they share the time.
prepared:
	@$(MAKE) --no-print-directory -j 3 $(WHOLE) check ready

tested: tests newest client-tests

check: lint types

# What is needed later. What can't be had fails, or is skipped, where it is needed.
ready: .venv/.compiled ready-newest ready-client

ready-newest: .venv/.dev
	-@sh tools/test-on-newest --set-up

ready-client: .venv/.dev
	-@if [ "$(NODE)" ]; then $(MAKE) --no-print-directory client $(SHOP)/node_modules/.installed; fi

lint: .venv/.dev
	$(call SECTION,lint)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(call SECTION,floors)
	$(BIN)/lint-imports --no-logo
	$(call SECTION,lock)
	@if $(BIN)/uv --version >/dev/null 2>&1; then UV_NO_CONFIG=1 $(BIN)/uv lock --check --default-index $(INDEX); \
	else echo "skipped: uv can't be had here"; fi

types: .venv/.dev
	$(call SECTION,types)
	$(BIN)/mypy

tests: .venv/.dev
	$(call SECTION,tests on the lowest Python)
	@sh tools/run-tests .venv $(WORKERS) $(ARGS)

newest:
	$(call SECTION,tests on the highest Python)
	@sh tools/test-on-newest $(WORKERS) $(ARGS)

client: $(CLIENT)/dist/.built

client-tests: .venv/.dev
	$(call SECTION,tests of the npm package)
	@if [ "$(NODE)" ]; then $(MAKE) --no-print-directory client && cd $(CLIENT) && npm run -s types && npm test && cd ../.. && $(MAKE) --no-print-directory demo-ts ARGS=; \
	else echo "skipped: Node 20 or later is not here"; fi

# One of its tests has seven thousand examples: that it takes long does not mean that it hangs.
nightly: .venv/.dev
	$(BIN)/python -m pytest -rsfE -o faulthandler_timeout=0 -m "" $(GENERATED) --hypothesis-profile=nightly $(ARGS)
	$(BIN)/python -m pytest -rsfE -o faulthandler_timeout=0 tests -m nightly $(ARGS)
	sh tools/test-on-newest --all $(WORKERS) $(ARGS)
	@if [ "$(NODE)" ]; then $(MAKE) --no-print-directory client && cd $(CLIENT) && SEATRIAL_NIGHTLY=1 npm test -- tests/nightly; \
	else echo "skipped: Node 20 or later is not here"; fi

workloads: .venv/.dev
	cd tests && ../$(BIN)/python -m workloads.runner $(ARGS)

# POSTGRES_BINARIES names more folders of binaries, as PATH does.
matrix: .venv/.dev
	SEATRIAL_WRITE_DOCS=1 $(BIN)/python -m pytest -q tests/matrix $(ARGS)

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-ts: .venv/.dev $(BENCH)/node_modules/.installed
	cd $(BENCH) && PATH="$(CURDIR)/$(BIN):$$PATH" node bench.mjs $(ARGS)

bench: .venv/.dev
	for benchmark in benchmarks/[!_]*.py; do $(BIN)/python "$$benchmark" || exit; done

docs: .venv/.dev
	SEATRIAL_WRITE_DOCS=1 $(BIN)/python -m pytest -q tests/docs/test_messages.py tests/docs/test_demands.py tests/architecture/test_public_names.py

# --- how it is set up ---------------------------------------------------------------------------------------------

.venv/.demo: $(PINNED)
	@PYTHON="$(PYTHON)" sh tools/set-up .venv demo

.venv/.dev: $(PINNED)
	@PYTHON="$(PYTHON)" sh tools/set-up .venv dev
	@touch .venv/.demo

# Each of the workers would compile all that the tests import.
.venv/.compiled: .venv/.dev
	@sh tools/compile .venv

$(CLIENT)/node_modules/.installed: $(CLIENT)/package-lock.json
	@test "$(NODE)" || { echo "Node 20 or later is needed: https://nodejs.org"; exit 1; }
	cd $(CLIENT) && npm ci --ignore-scripts --no-audit --no-fund --prefer-offline
	@touch $@

# Prisma's command wants an engine to be there, and does not run it to generate a client.
$(SHOP)/node_modules/.installed: $(SHOP)/package-lock.json $(SHOP)/prisma/schema.prisma $(CLIENT)/dist/.built
	cd $(SHOP) && npm ci --ignore-scripts --no-audit --no-fund --prefer-offline
	cd $(SHOP) && PRISMA_SCHEMA_ENGINE_BINARY=/bin/sh CHECKPOINT_DISABLE=1 npx prisma generate
	@touch $@

$(BENCH)/node_modules/.installed: $(BENCH)/package-lock.json $(BENCH)/tables.mjs $(CLIENT)/dist/.built
	cd $(BENCH) && npm ci --ignore-scripts --no-audit --no-fund --prefer-offline && node tables.mjs
	cd $(BENCH) && PRISMA_SCHEMA_ENGINE_BINARY=/bin/sh CHECKPOINT_DISABLE=1 npx prisma generate
	@touch $@

$(CLIENT)/dist/.built: $(CLIENT)/node_modules/.installed $(shell find $(CLIENT)/src -name '*.ts') $(CLIENT)/tsconfig.json
	rm -rf $(CLIENT)/dist
	cd $(CLIENT) && npm run -s build
	@touch $@

# Only the public index may stand in the lock, whatever this machine is configured to use.
lock:
	UV_NO_CONFIG=1 $(BIN)/uv lock --upgrade --default-index $(INDEX)

clean:
	rm -rf .venv .venv-newest .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	rm -rf $(CLIENT)/dist $(addsuffix /node_modules,$(CLIENT) $(SHOP) $(BENCH)) $(SHOP)/src/generated $(BENCH)/generated
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
