# Two commands: `make demo` runs the main job, `make test` passes the tests. Both set everything up first.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Pinned so that pip takes the same wheel everywhere; `make TORCH=torch==2.14.1 demo` for another.
TORCH ?= torch==2.13.0
# Where a machine without a GPU finds torch's build for CPUs, if pip's own index has only the large one with CUDA.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
export PYTHON TORCH TORCH_INDEX
PYTEST_ARGS ?=
# What `make install` installs, and where.
PREFIX ?= /opt/glam-node
EXTRAS ?= fast,postgresql
# Tests start hundreds of processes: each would compile our sources anew where this is set.
unexport PYTHONDONTWRITEBYTECODE
# The folders with the longest tests first, so that no process is left with them alone at the end.
TESTS ?= tests/torture tests/system tests/integration tests/unit tests/rules
# Many tests wait for a server or a process: one more than there are cores.
TESTS_AT_ONCE ?= $(shell expr $$(nproc) + 1)

.PHONY: help demo test test-fast lint docs benchmark torture install fresh clean

help:
	@echo "make demo       set up and run the main job: a phantom exam goes in, DICOM SEG and SR come back"
	@echo "make test       set up, third-party peers included, and run all checks and tests"
	@echo "make test-fast  the checks and the unit tests, in a minute or so"
	@echo "make lint       the checks alone: ruff, codespell, mypy, import-linter"
	@echo "make docs       the documents as pages, in build/site"
	@echo "make benchmark  ratios against named peers"
	@echo "make torture    kills, outages and locks at full length: nothing is lost, nothing comes twice"
	@echo "make install    as root: install for systemd, into $(PREFIX)"
	@echo "make fresh      as root: run the demo, the systemd units and the container image on bare Debian machines (debootstrap)"
	@echo "make clean      remove the virtual environment and what the demo wrote"

demo: $(VENV)/.runtime
	@$(BIN)/glam-node demo

test: lint
	@scripts/peers.sh
	@scripts/viewer.sh
	@scripts/helm.sh $(BIN)
	@echo "== tests, $(TESTS_AT_ONCE) at a time"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not benchmark and not alone" \
		-n $(TESTS_AT_ONCE) --dist loadfile --no-loadscope-reorder $(TESTS) $(PYTEST_ARGS)
	@echo "== tests that hold a node to a time, with the machine to themselves"
	@$(BIN)/python -m pytest -m "alone and not benchmark" $(PYTEST_ARGS)
	@echo "== checks and tests passed; lines that begin with NOT RUN, if any, name what was left out."
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

docs: $(VENV)/.dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "   build/site/index.html"

benchmark: $(VENV)/.dev
	@scripts/peers.sh
	@$(BIN)/python -m pytest -m benchmark -s tests/benchmarks $(PYTEST_ARGS)

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
