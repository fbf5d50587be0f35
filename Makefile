# make          lint, types and tests; makes .venv first where it is missing or out of date
# make env      only the environment        make lint | types     one of the checks
# make test     the same as make            make bench            compare with the predecessors
# make format   rewrite to our format       make native-test      the C++ tests, with sanitizers;
#                                         with clang fuzzing too, FUZZ_SECONDS=600 for ten minutes
# make flags    write doc/Flags.md          make doc              the documentation as HTML, build/doc
# make clean    remove what these verbs made
#
# PYTHON=python3.12 make ... chooses the interpreter. Once .venv is there, .venv/bin/pytest tests/test_x.py
# is the short way round.

SHELL := bash
BIN := .venv/bin
SCRIPTS := $(wildcard bin/*.sh) .ci/run
NATIVE := $(shell find native_client -name '*.cc' -o -name '*.h')
NATIVE_BUILD := build/native-test
THREADS_BUILD := build/native-threads
FUZZ_BUILD := build/native-fuzz
FUZZ_CXX := $(firstword $(shell type -P clang++ clang++-{20,19,18,17,16,15,14}))
FUZZ_SECONDS := 20
export PYTHON COQUI_PYTHON

.PHONY: all env lint types test native-test format bench flags doc clean
.DEFAULT_GOAL := all

all: test

env:
	@bin/make-env.sh requirements_dev.txt

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/shellcheck $(SCRIPTS)
	$(BIN)/shfmt -i 2 -ci -d $(SCRIPTS)
	$(BIN)/clang-format --dry-run --Werror $(NATIVE)
	$(BIN)/codespell

types: env
	$(BIN)/mypy

test: lint types
	$(BIN)/pytest

native-test: env
	$(BIN)/cmake -S native_client -B $(NATIVE_BUILD) -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
	  -DPython_EXECUTABLE=$(abspath $(BIN))/python -DDEEPSPEECH_TESTS=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	  -DCMAKE_CXX_FLAGS="-fsanitize=address,undefined -fno-sanitize-recover=undefined"
	$(BIN)/cmake --build $(NATIVE_BUILD)
	$(BIN)/ctest --test-dir $(NATIVE_BUILD) --output-on-failure --no-tests=error
	$(BIN)/cmake -S native_client -B $(THREADS_BUILD) -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
	  -DPython_EXECUTABLE=$(abspath $(BIN))/python -DDEEPSPEECH_TESTS=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	  -DCMAKE_CXX_FLAGS="-fsanitize=thread"
	$(BIN)/cmake --build $(THREADS_BUILD) --target threads_test api_test
	$(BIN)/ctest --test-dir $(THREADS_BUILD) --output-on-failure --no-tests=error -R "^(threads|api)$$"
ifeq ($(FUZZ_CXX),)
	@echo "There is no fuzzing without clang: install it (Debian and Ubuntu: clang and libclang-rt-dev)."
else
	$(BIN)/cmake -S native_client -B $(FUZZ_BUILD) -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
	  -DPython_EXECUTABLE=$(abspath $(BIN))/python -DDEEPSPEECH_FUZZ=ON -DDEEPSPEECH_FUZZ_SECONDS=$(FUZZ_SECONDS) \
	  -DCMAKE_CXX_COMPILER=$(FUZZ_CXX) -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	  -DCMAKE_CXX_FLAGS="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined"
	$(BIN)/cmake --build $(FUZZ_BUILD)
	$(BIN)/ctest --test-dir $(FUZZ_BUILD) --output-on-failure --no-tests=error
endif

format: env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/shfmt -i 2 -ci -w $(SCRIPTS)
	$(BIN)/clang-format -i $(NATIVE)

bench: env
	@test -n "$(COQUI_PYTHON)" || { echo "make bench compares with Coqui STT 1.4.0: run \
	benchmarks/setup_predecessors.sh DIR, then make bench COQUI_PYTHON=DIR/train37/bin/python." >&2; exit 2; }
	$(BIN)/python benchmarks/demo_time.py --audio data/smoke_test/she_had_your_dark_suit.wav
	$(BIN)/python benchmarks/train_speed.py --config 512,16 --config 512,1

flags: env
	$(BIN)/python DeepSpeech.py --helpmarkdown >doc/Flags.md.new
	mv doc/Flags.md.new doc/Flags.md

doc: env
	$(BIN)/properdocs build --strict

clean:
	rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
