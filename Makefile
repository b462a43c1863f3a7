# Each target sets up what it needs, from the lock, in .venv: it works as the first command
# after a clone, with only make and a Python >= 3.11.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CHECKED := $(wildcard dhenara_stream examples benchmarks tests)

.PHONY: help demo test test-real check layers coverage bench bench-full faults soak fuzz mutants report format lock clean

help:
	@echo "make demo     play a streamed answer in the terminal; no key, no network"
	@echo "make test     run the tests"
	@echo "make test-real  the client against servers of others: llama.cpp, aimock, LiteLLM"
	@echo "make check    format, lint, types, layers, coverage"
	@echo "make bench    CPU per event, beside the floor and the SDKs; what got slower"
	@echo "make bench-full  all that is measured, with all peers: benchmarks/BENCHMARKS.md"
	@echo "make faults   the same faults for us and the peers, as tables"
	@echo "make fuzz     search for bytes that break an invariant (SECONDS=60)"
	@echo "make mutants  change the code, see whether its tests notice (PATHS=core/sse.py)"
	@echo "make soak     streams under random faults, and what is left of them (SECONDS=120)"
	@echo "make report   renew the pages on the recorded streams, where they are"
	@echo "make format   apply the format and the safe fixes"
	@echo "make lock     renew the locks (UPGRADE=1: to the newest versions)"
	@echo "make clean    remove .venv and what the tools left"

demo: .venv/.demo-stamp
	@$(BIN)/dhenara-stream demo

test: .venv/.dev-stamp
	$(BIN)/pytest -q -n auto $(ARGS)

# Servers of others, each in a place of its own. The tests skip what cannot be installed.
REAL := .real/llama/.stamp .real/litellm/.stamp .real/aimock/.stamp
test-real: .venv/.dev-stamp
	-@$(MAKE) --no-print-directory --keep-going $(REAL)
	$(BIN)/pytest -q -rs -n 2 --dist loadfile -o faulthandler_timeout=120 tests/real $(ARGS)

check: .venv/.dev-stamp
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/mypy $(CHECKED)
	$(BIN)/pyright $(CHECKED)
	$(MAKE) --no-print-directory layers coverage

layers: .venv/.dev-stamp
	$(BIN)/pytest -q tests/test_layers.py

# What covers the code has to be everywhere, so the recordings are not asked; nor is what covers it
# once more, at length. `make test` runs all of it.
UNCOUNTED := tests/recorded tests/test_report.py tests/test_bench.py tests/test_faults_table.py \
	tests/test_complexity.py tests/engine/test_scenarios.py tests/engine/test_resource_bombs.py \
	tests/engine/test_conversations.py tests/engine/test_broken_answers.py \
	tests/engine/test_http2.py tests/engine/test_life.py tests/simulator/test_sdk.py \
	tests/simulator/test_openai_chat_sdk.py tests/simulator/test_openai_responses_sdk.py \
	tests/simulator/test_gemini_sdk.py
coverage: .venv/.dev-stamp
	$(BIN)/pytest -q -n auto --cov --cov-report=term $(UNCOUNTED:%=--ignore=%) $(ARGS)

bench: .venv/.dev-stamp
	$(BIN)/python -m benchmarks.bench $(BENCH)

# Each peer, and what draws the plots, has a place of its own; the page says which are missing.
PEERS := .real/litellm/.stamp .real/dhenara/.stamp .real/aiohttp/.stamp .real/pydantic-ai/.stamp
bench-full: .venv/.dev-stamp
	-@$(MAKE) --no-print-directory --keep-going $(PEERS) .real/plots/.stamp
	$(BIN)/python -m benchmarks.bench --full $(BENCH)

# The peers that would break others have a place of their own; the tables say which are missing.
faults: .venv/.dev-stamp
	-@$(MAKE) --no-print-directory --keep-going .real/litellm/.stamp .real/dhenara/.stamp
	$(BIN)/python -m benchmarks.faults $(FAULTS)

soak: .venv/.dev-stamp
	$(BIN)/python benchmarks/soak.py --seconds $(or $(SECONDS),120)
	$(BIN)/python benchmarks/soak.py --seconds $(or $(SECONDS),120) --backend trio

fuzz: .venv/.fuzz-stamp
	$(BIN)/python tests/fuzz/run.py --seconds $(or $(SECONDS),60) $(TARGETS)

mutants: .venv/.mutants-stamp
	$(BIN)/python tests/mutants.py $(if $(JOBS),--jobs $(JOBS)) $(PATHS)

report: .venv/.dev-stamp
	$(BIN)/python tests/report.py

format: .venv/.dev-stamp
	$(BIN)/ruff check --fix $(CHECKED)
	$(BIN)/ruff format $(CHECKED)

# The hashes are those of the public index, whatever this machine's settings add to it. Extras are
# named, because older pips take a package with extras for another one, which is not pinned.
UV_LOCK = $(BIN)/uv pip compile -q --no-config --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-strip-extras \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
UV_COMPILE = $(UV_LOCK) pyproject.toml

lock: | $(BIN)/python
	$(PIP) install -q uv
	$(UV_COMPILE) --extra rich --group build -o requirements.lock
	$(UV_COMPILE) --all-extras --group dev -c requirements.lock -o requirements-dev.lock
	$(UV_COMPILE) --group fuzz -c requirements-dev.lock -o requirements-fuzz.lock
	$(UV_COMPILE) --group mutants -c requirements-dev.lock -o requirements-mutants.lock
	$(UV_LOCK) --group llama -o requirements-real.lock
	$(UV_LOCK) --group litellm -o requirements-litellm.lock
	$(UV_LOCK) --group dhenara -o requirements-dhenara.lock
	$(UV_COMPILE) --group aiohttp -c requirements-dev.lock -o requirements-aiohttp.lock
	$(UV_LOCK) --group pydantic-ai -o requirements-pydantic-ai.lock
	$(UV_LOCK) --group plots -o requirements-plots.lock
	! command -v npm >/dev/null || npm install --prefix tests/real --package-lock-only \
		--omit-lockfile-registry-resolved

clean:
	rm -rf .venv .real .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis dist

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed" >&2; exit 1; }
	@echo "Setting up .venv ..."
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

# The locks carry the build backend too: with no isolated build, pip fetches nothing unlocked.
.venv/.demo-stamp: requirements.lock pyproject.toml dhenara_stream/_version.py | $(BIN)/python
.venv/.dev-stamp: requirements-dev.lock pyproject.toml dhenara_stream/_version.py | $(BIN)/python
.venv/.fuzz-stamp: requirements-fuzz.lock | .venv/.dev-stamp
.venv/.mutants-stamp: requirements-mutants.lock | .venv/.dev-stamp
.venv/.demo-stamp .venv/.dev-stamp .venv/.fuzz-stamp .venv/.mutants-stamp:
	@echo "Installing $< ..."
	@$(PIP) install -q --require-hashes -r $<
	@$(PIP) install -q --no-deps --no-build-isolation -e .
	@touch $@

.real/llama/.stamp: requirements-real.lock | $(BIN)/python
.real/litellm/.stamp: requirements-litellm.lock | $(BIN)/python
.real/dhenara/.stamp: requirements-dhenara.lock | $(BIN)/python
.real/aiohttp/.stamp: requirements-aiohttp.lock | $(BIN)/python
.real/pydantic-ai/.stamp: requirements-pydantic-ai.lock | $(BIN)/python
.real/plots/.stamp: requirements-plots.lock | $(BIN)/python
.real/llama/.stamp .real/litellm/.stamp .real/dhenara/.stamp .real/aiohttp/.stamp \
.real/pydantic-ai/.stamp .real/plots/.stamp:
	@echo "Installing $< ..."
	@rm -rf $(@D)
	@$(BIN)/python -m venv $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check install -q --retries 2 --require-hashes \
		--only-binary :all: -r $<
	@touch $@

.real/aimock/.stamp: tests/real/package.json tests/real/package-lock.json
	@command -v npm >/dev/null || { echo "npm is not installed: no aimock" >&2; exit 1; }
	@echo "Installing $< ..."
	@mkdir -p $(@D) && cp $^ $(@D)
	@npm ci --prefix $(@D) --silent --no-audit --no-fund --ignore-scripts --fetch-retries 1
	@touch $@
