# make          lint, types and tests; makes .venv first where it is missing or out of date
# make env      only the environment        make lint | types     one of the checks
# make test     the same as make            make bench            compare with the predecessors
# make format   rewrite to our format       make clean            remove what these verbs made
#
# PYTHON=python3.12 make ... chooses the interpreter. Once .venv is there, .venv/bin/pytest tests/test_x.py
# is the short way round.

SHELL := bash
BIN := .venv/bin
SCRIPTS := $(wildcard bin/*.sh) .ci/run
export PYTHON

.PHONY: all env lint types test format bench clean
.DEFAULT_GOAL := all

all: test

env:
	@bin/make-env.sh requirements_dev.txt

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/shellcheck $(SCRIPTS)
	$(BIN)/shfmt -i 2 -ci -d $(SCRIPTS)
	$(BIN)/codespell

types: env
	$(BIN)/mypy

test: lint types
	$(BIN)/pytest

format: env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/shfmt -i 2 -ci -w $(SCRIPTS)

bench: env
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
