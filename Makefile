# Every target works on a machine that has only Python >= 3.11 and make: the first one used makes .venv.
# `make demo PYTHON=python3.12` picks another interpreter.

ifndef PYTHON
PYTHON := $(shell python3.11 -c 'print("python3.11")' 2>/dev/null || echo python3)
endif
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check -qq install -c constraints.txt
PYTEST := .ci/quiet-prefect $(BIN)/python -m pytest -n auto --dist loadgroup --no-loadscope-reorder

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-quick test-slow lint format types bench scale chaos chaos-long wheel-test clean

help: ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: $(VENV)/.installed-runtime ## turn a manifest into a dataset, against the sandbox: no key, no cost
	$(BIN)/prefect-trinetra demo

test: test-quick test-slow ## run the tests (one module of them: .venv/bin/pytest tests/test_x.py)

test-quick: $(VENV)/.installed-dev $(VENV)/.installed-machine ## those that say most for their time, with branch coverage
	$(PYTEST) -m "not slow" --cov --cov-report=term

test-slow: $(VENV)/.installed-dev $(VENV)/.installed-machine ## crashes, real stores, browsers, workers; without coverage, which doubles their time
	$(PYTEST) -m slow

lint: $(VENV)/.installed-dev ## ruff (rules and format) and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo --no-cache

format: $(VENV)/.installed-dev ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.installed-dev ## mypy --strict, tests too
	$(BIN)/mypy

bench: $(VENV)/.installed-dev ## images/s and CPU per image: this engine, a raw loop, three mapped tasks
	.ci/quiet-prefect $(BIN)/python benchmarks/throughput.py

scale: $(VENV)/.installed-dev ## a run of 100,000 images against the sandbox: is it as fast and as small at its end? 10 minutes
	$(BIN)/python benchmarks/long_run.py --images 100000

chaos: $(VENV)/.installed-dev ## kill runs at steps of paid work for a minute, and compare the bill
	$(BIN)/python benchmarks/chaos.py --rounds 1 --rows 12 --lease-seconds 0.2 --minutes 1 --every-step

chaos-long: $(VENV)/.installed-dev ## the same with 10,000 images and 1,000 kills at least: an hour; docs/chaos.md tells it
	$(BIN)/python benchmarks/chaos.py --rounds 125 --kills 1000 --rows 80 --minutes 120 --every-step --write docs/chaos.md

wheel-test: $(VENV)/.installed-dev $(VENV)/.installed-machine ## build sdist and wheel, run the tests (but slow ones) against the wheel
	.ci/quiet-prefect .ci/wheel-test $(BIN)/python

clean: ## remove what the tools made (.venv too)
	rm -rf $(VENV) build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache
	rm -rf .mypy_cache .pytest_cache .ruff_cache src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
	    "$(PYTHON) is Python %d.%d; 3.11 or newer is needed. Say which: make PYTHON=python3.11 ..." % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-runtime: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing prefect-trinetra and what it needs into $(VENV) (once; a minute or two)"
	@$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing prefect-trinetra with its test and lint tools into $(VENV) (once; two or three minutes)"
	@$(PIP_INSTALL) -e '.[test,lint]'
	@touch $@ $(VENV)/.installed-runtime

$(VENV)/.installed-machine: .ci/machine | $(VENV)/bin/python
	@.ci/machine $(VENV)
	@touch $@
