# Each target sets up what it needs, from the lock, in .venv: it works as the first command
# after a clone, with only make and a Python >= 3.11.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CHECKED := $(wildcard dhenara_stream examples benchmarks tests)

.PHONY: help demo test check layers coverage bench soak fuzz format lock clean

help:
	@echo "make demo     play a streamed answer in the terminal; no key, no network"
	@echo "make test     run the tests"
	@echo "make check    format, lint, types, layers, coverage"
	@echo "make bench    CPU per event, and behaviour under faults, beside the peers"
	@echo "make fuzz     search for bytes that break an invariant (SECONDS=60)"
	@echo "make soak     streams under random faults, and what is left of them (SECONDS=120)"
	@echo "make format   apply the format and the safe fixes"
	@echo "make lock     renew the locks (UPGRADE=1: to the newest versions)"
	@echo "make clean    remove .venv and what the tools left"

demo: .venv/.demo-stamp
	@$(BIN)/dhenara-stream demo

test: .venv/.dev-stamp
	$(BIN)/pytest -q -n auto $(ARGS)

check: .venv/.dev-stamp
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/mypy $(CHECKED)
	$(BIN)/pyright $(CHECKED)
	$(MAKE) --no-print-directory layers coverage

layers: .venv/.dev-stamp
	$(BIN)/pytest -q tests/test_layers.py

coverage: .venv/.dev-stamp
	$(BIN)/pytest -q -n auto --cov --cov-report=term $(ARGS)

bench: .venv/.dev-stamp
	$(BIN)/python benchmarks/compare.py $(BENCH)
	$(BIN)/python benchmarks/honesty.py

soak: .venv/.dev-stamp
	$(BIN)/python benchmarks/soak.py --seconds $(or $(SECONDS),120)
	$(BIN)/python benchmarks/soak.py --seconds $(or $(SECONDS),120) --backend trio

fuzz: .venv/.fuzz-stamp
	$(BIN)/python tests/fuzz/run.py --seconds $(or $(SECONDS),60) $(TARGETS)

format: .venv/.dev-stamp
	$(BIN)/ruff check --fix $(CHECKED)
	$(BIN)/ruff format $(CHECKED)

# The hashes are those of the public index, whatever this machine's settings add to it.
UV_COMPILE = $(BIN)/uv pip compile -q --no-config --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) pyproject.toml

lock: | $(BIN)/python
	$(PIP) install -q uv
	$(UV_COMPILE) --extra rich --group build -o requirements.lock
	$(UV_COMPILE) --all-extras --group dev -c requirements.lock -o requirements-dev.lock
	$(UV_COMPILE) --group fuzz -c requirements-dev.lock -o requirements-fuzz.lock

clean:
	rm -rf .venv .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis dist

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed" >&2; exit 1; }
	@echo "Setting up .venv ..."
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

# The locks carry the build backend too: with no isolated build, pip fetches nothing unlocked.
.venv/.demo-stamp: requirements.lock pyproject.toml dhenara_stream/_version.py | $(BIN)/python
.venv/.dev-stamp: requirements-dev.lock pyproject.toml dhenara_stream/_version.py | $(BIN)/python
.venv/.fuzz-stamp: requirements-fuzz.lock | .venv/.dev-stamp
.venv/.demo-stamp .venv/.dev-stamp .venv/.fuzz-stamp:
	@echo "Installing $< ..."
	@$(PIP) install -q --require-hashes -r $<
	@$(PIP) install -q --no-deps --no-build-isolation -e .
	@touch $@
