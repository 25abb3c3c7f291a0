# Needs Python 3.11 or newer with pip, make, and a network; everything else is fetched into .uv and .venv.

PYTHON ?= $(shell for name in python3.11 python3 python3.12 python3.13 python; do \
	command -v $$name >/dev/null 2>&1 && $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { command -v $$name; break; }; done)
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
BIN := .venv/bin
# Whichever is there; the browser tests take it from the environment.
export CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
export UV_PYTHON_DOWNLOADS := never

# Each process of a run has its own PostgreSQL and Valkey, and whole files, whose fixtures build on each other.
PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: run test check bench chaos migrate new-plugin docs texts lock help

run: .venv/.synced ## Start everything with a demo campaign; Ctrl-C stops it
	@exec $(BIN)/recado up --demo

test: .venv/.synced chromium ## Check everything: lint, types, imports and all tests
	@$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest $(PARALLEL)

check: .venv/.synced ## The quick part of test: lint, types, imports and the fast tests
	@$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow"

# Debian's package, where root can install it; `check` runs no browser.
.PHONY: chromium
chromium:
	@test -z "$(CHROMIUM)" || exit 0; \
	if test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
		echo "Installing chromium for the browser tests"; \
		{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends chromium; } \
			>/dev/null 2>&1; \
	fi; \
	command -v chromium >/dev/null || { echo "The browser tests need Chromium: run 'sudo apt-get install chromium'," \
		"or name yours: make test CHROMIUM=/path/to/chrome" >&2; exit 1; }

.PHONY: lint
lint: .venv/.synced
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry core plugins

bench: .venv/.synced ## Measure side by side; prints ratios, and which goals held: make bench only=workers
	@exec $(BIN)/python -m bench.run $(only)

chaos: .venv/.synced ## The tests that kill, cut and flood, at full size
	RECADO_CHAOS=full $(BIN)/python -m pytest -m chaos -o timeout=3600

migrate: .venv/.synced ## Bring the database up to date
	@exec $(BIN)/recado migrate

new-plugin: .venv/.synced ## Make a plugin that works: make new-plugin name=example kind=messaging
	@exec $(BIN)/recado new-plugin "$(name)" --kind "$(or $(kind),messaging)"

docs: .venv/.synced ## Write again what is made from the code
	$(BIN)/recado config example > platform.example.toml.new
	mv platform.example.toml.new platform.example.toml
	$(BIN)/python -m core.plugin.reference > plugin-api.md.new
	mv plugin-api.md.new docs/reference/plugin-api.md
	$(BIN)/python -m core.events.reference > events.md.new
	mv events.md.new docs/reference/events.md
	$(BIN)/python -m core.typescript > recado.ts.new
	mv recado.ts.new examples/clients/typescript/recado.ts
	@$(MAKE) --no-print-directory texts

texts: .venv/.synced ## Bring recado.pot and every language in step with the English texts: make texts new=fr begins one
	$(BIN)/python -m core.translation_files $(new)

lock: $(UV) ## Resolve the dependencies again
	$(UV) $(LOCK) -o requirements.lock
	$(UV) $(LOCK) --group dev -o requirements-dev.lock
LOCK := pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-header --no-annotate --no-emit-index-url pyproject.toml

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

# Quick when nothing changed: make compares the stamp with what it was made from.
.venv/.synced: requirements-dev.lock pyproject.toml $(UV)
	@test -n "$(PYTHON)" || { echo "Recado needs Python 3.11 or newer: install it, or name it: make PYTHON=..." >&2; exit 1; }
	@test -x $(BIN)/python || $(UV) venv --quiet --no-project --python "$(PYTHON)" .venv
	@echo "Installing the dependencies into .venv"
	@$(UV) pip sync --quiet --python $(BIN)/python requirements-dev.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.uv/bin/uv:
	@test -n "$(PYTHON)" || { echo "Recado needs Python 3.11 or newer: install it, or name it: make PYTHON=..." >&2; exit 1; }
	@echo "Installing uv into .uv"
	@"$(PYTHON)" -m pip install --quiet --disable-pip-version-check --target .uv uv
