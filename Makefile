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
export PYTHON COQUI_PYTHON

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
	@test -n "$(COQUI_PYTHON)" || { echo "make bench compares with Coqui STT 1.4.0: run \
	benchmarks/setup_predecessors.sh DIR, then make bench COQUI_PYTHON=DIR/train37/bin/python." >&2; exit 2; }
	$(BIN)/python benchmarks/demo_time.py --audio data/smoke_test/she_had_your_dark_suit.wav
	$(BIN)/python benchmarks/train_speed.py --config 512,16 --config 512,1

clean:
	rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
