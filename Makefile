# Two main commands: `make demo` runs the main job, `make test` runs the tests. Both set everything up first.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Pinned so that pip installs the same wheel everywhere; `make TORCH=torch==2.14.1 demo` uses another version.
TORCH ?= torch==2.13.0
# Index with torch's CPU builds, for machines without a GPU whose own index has only the large build with CUDA.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
export PYTHON TORCH TORCH_INDEX
PYTEST_ARGS ?=
# Directory and extras of `make install`.
PREFIX ?= /opt/glam-node
EXTRAS ?= fast,postgresql
# Tests start hundreds of processes, each of which would compile our sources again if this were set.
unexport PYTHONDONTWRITEBYTECODE
# Folders with the longest tests come first, so that the last process does not run them alone at the end.
TESTS ?= tests/torture tests/system tests/integration tests/unit tests/rules
# Many tests wait for a server or a process, so one more test runs than there are cores.
TESTS_AT_ONCE ?= $(shell expr $$(nproc) + 1)

.PHONY: help demo test test-fast lint generate docs benchmark benchmark-gpu torture install fresh clean

help:
	@echo "make demo       set up and run the main job: analyse a phantom exam and send DICOM SEG and SR back"
	@echo "make test       set up everything, including third-party peers, and run all checks and tests"
	@echo "make test-fast  run the checks and the unit tests in about a minute"
	@echo "make lint       run only the checks: ruff, codespell, mypy, import-linter"
	@echo "make generate   write node.toml and the generated parts of the documents again"
	@echo "make docs       build the documents as web pages in build/site"
	@echo "make benchmark  compare speed and memory with named peers"
	@echo "make benchmark-gpu  install, and measure an NVIDIA GPU in at most 15 minutes"
	@echo "make torture    run the kill, outage and lock tests at full length"
	@echo "make install    as root: install for systemd in $(PREFIX)"
	@echo "make fresh      as root: run the demo, the systemd units and the container image on bare Debian machines (debootstrap)"
	@echo "make clean      remove the virtual environment and the files of the demo"

demo: $(VENV)/.runtime
	@$(BIN)/glam-node demo

test: lint
	@scripts/peers.sh
	@scripts/viewer.sh
	@scripts/helm.sh $(BIN)
	@echo "== tests, $(TESTS_AT_ONCE) at a time"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not benchmark and not alone" \
		-n $(TESTS_AT_ONCE) --dist loadfile --no-loadscope-reorder $(TESTS) $(PYTEST_ARGS)
	@echo "== tests with time limits, run alone on the machine"
	@$(BIN)/python -m pytest -m "alone and not benchmark" $(PYTEST_ARGS)
	@echo "== checks and tests passed; lines that begin with NOT RUN, if any, name the tests that were left out."
	@echo "   Next: make demo, or README.md to connect a PACS."

test-fast: lint
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(TESTS_AT_ONCE) tests/unit tests/rules $(PYTEST_ARGS)

lint: $(VENV)/.dev
	@echo "== format, lint, spelling, types, import contracts"
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/codespell
	@$(BIN)/mypy
	@$(BIN)/lint-imports

generate: $(VENV)/.dev
	@$(BIN)/python -m tests.generated

docs: $(VENV)/.dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "   build/site/index.html"

# NAME=my-machine keeps the report in docs/benchmarks; EARLIER=../checkout compares throughput with another version.
benchmark: $(VENV)/.dev
	@scripts/peers.sh
	@BENCHMARK_EARLIER=$(EARLIER) $(BIN)/python -m pytest -m benchmark -s tests/benchmarks $(PYTEST_ARGS)
	@[ -z "$(NAME)" ] || { cp build/benchmarks/report.json docs/benchmarks/$(NAME).json && $(BIN)/python -m tests.generated; }

benchmark-gpu:
	@[ -e /dev/nvidiactl ] || { echo "This machine has no NVIDIA GPU or no driver for it (/dev/nvidiactl is missing), so nothing" \
		"was installed or measured. Run the command on a machine where nvidia-smi lists a GPU." >&2; exit 2; }
	@$(MAKE) --no-print-directory $(VENV)/.dev
	@$(BIN)/python -m tests.benchmarks.gpu
	@$(BIN)/python -m pytest -q -m cuda tests/unit

$(VENV)/.runtime: pyproject.toml
	@scripts/setup.sh $(VENV) --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml
	@scripts/setup.sh $(VENV) --editable '.[dev]'
	@touch $@ $(VENV)/.runtime

install:
	@scripts/install.sh $(PREFIX) '.[$(EXTRAS)]'

fresh:
	@scripts/fresh.sh $(FRESH_ARGS)
	@scripts/service.sh
	@scripts/image.sh

torture: $(VENV)/.dev
	@scripts/peers.sh
	@TORTURE_LENGTH=full $(BIN)/python -m pytest -s tests/torture $(PYTEST_ARGS)

clean:
	rm -rf $(VENV) glam-node-demo build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
