# Everything below needs only Python >= 3.11, make and a C library.
#   make up      set up and run the main job: engines, gateway, tour
#   make test    set up and pass the tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .venv-conformance
VLLM := .venv-vllm
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCK := constraints.txt

.DEFAULT_GOAL := help
.PHONY: help up test test-conformance test-distill test-vllm prove-verification vllm check format bench bench-confidence bench-embedded lock dashboards tree build weights clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "tutelage needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "[setup] making $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed; on Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(VENV)/.local: pyproject.toml $(LOCK) | $(VENV)/bin/python
	@echo "[setup] installing the gateway and the embedded engine (about 350 MB on disk)"
	@$(PIP) install --quiet --constraint $(LOCK) --editable '.[local,console]'
	@touch $@

$(VENV)/.dev: $(VENV)/.local
	@echo "[setup] installing the test tools"
	@$(PIP) install --quiet --constraint $(LOCK) --editable '.[local,dev]'
	@touch $@

$(VENV)/.distill: $(VENV)/.dev
	@echo "[setup] installing torch and the training set (1.5 GB and more)"
	@$(PIP) install --quiet --constraint $(LOCK) --editable '.[local,dev,distill]'
	@touch $@

up: $(VENV)/.local  ## engines + gateway + tour on this machine; then serves until Ctrl-C
	@$(BIN)/tutelage up $(ARGS)

test: $(VENV)/.dev  ## every test that needs no torch, on the real embedded engine too
	@$(BIN)/python -m serving.prepare
	@$(BIN)/python -m pytest $(ARGS)

test-conformance: $(VENV)/.dev $(TOOLS)/.ready  ## the official client's own tests, llm-comply, schemathesis
	@$(BIN)/python -m tests.conformance.openai_tests
	@$(BIN)/python -m pytest tests/conformance --durations 5 $(ARGS)

$(TOOLS)/.ready: tests/conformance/requirements.txt | $(VENV)/bin/python
	@echo "[setup] installing the suites of others into $(TOOLS)"
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip --disable-pip-version-check install --quiet --requirement $<
	@touch $@

test-distill: $(VENV)/.distill  ## the tests of the training recipe (installs torch)
	@$(BIN)/python -m pytest tests/distill tests/serving/triage --timeout 600 $(ARGS)

vllm: $(VENV)/.local  ## vLLM's CPU build in an environment of its own (3.5 GB), and a model for it
	@$(BIN)/python -m serving.prepare
	@$(BIN)/python -m tests.vllm.environment $(VLLM)

test-vllm: $(VENV)/.dev vllm  ## contracts and journeys on a real vLLM (minutes; x86-64 Linux)
	@$(BIN)/python -m tests.vllm.run $(VLLM) $(ARGS)
	@$(BIN)/python -m tests.vllm.proof $(VLLM) --prompts 16 --pairs distilled

prove-verification: $(VENV)/.dev vllm  ## verified answers held to the teacher's own, 200 prompts a pair (a quarter of an hour)
	@$(BIN)/python -m tests.vllm.proof $(VLLM) $(ARGS)

check: $(VENV)/.dev  ## format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(VENV)/.dev  ## rewrite the code to the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/.local  ## what the gateway adds, beside nginx, LiteLLM, Rust (ARGS=--quick: ours alone)
	@$(BIN)/python -m benchmarks.gateways $(ARGS)

bench-confidence: $(VENV)/.local  ## what each reading of confidence is worth on the real task, into router/README.md
	@$(BIN)/python -m benchmarks.confidence $(ARGS)

bench-embedded: $(VENV)/.local  ## student, teacher and cascade end to end, as ratios, into benchmarks/
	@$(BIN)/python -m benchmarks.embedded $(ARGS)

lock: $(VENV)/.dev  ## resolve constraints.txt anew
	@$(BIN)/python tests/lock.py --write $(ARGS)

dashboards: $(VENV)/.dev  ## write grafana/dashboards/*.json anew from their definitions
	@$(BIN)/python -m grafana.write

tree: $(VENV)/.dev  ## write the README's tree anew
	@$(BIN)/python -m tests.tree --write

build: $(VENV)/.dev  ## the wheel and the source archive, into dist/
	@$(BIN)/python -m build --quiet

STAGES := teacher label student export 'evaluate --part calibration' 'evaluate --part test' time release

weights: $(VENV)/.distill  ## retrain the shipped teacher adapter and student (hours on two cores)
	@$(BIN)/python -m serving.prepare
	@base=$$($(BIN)/python -c 'import os; from serving.home import Home; from serving.models import BASE; \
	  print(Home.of(os.environ).models / BASE.file_name)'); \
	for stage in $(STAGES); do \
	  echo "[weights] $$stage"; \
	  $(BIN)/python -m distill.triage $$stage --base "$$base" --out build/triage || exit 1; \
	done

clean:  ## remove what was made here (not TUTELAGE_HOME)
	rm -rf $(VENV) $(TOOLS) $(VLLM) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
