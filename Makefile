# `make` lists the targets.
PYTHON ?= python3
JOBS ?= 1
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# with sh, macOS's make 3.81 starts plain commands itself, and not from the PATH exported here
SHELL := bash

.PHONY: help setup repro reproduce studies bench lint test slow lock

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: .venv/wrapped  ## install the locked packages into .venv (torch's CUDA build: about 6 GB)

.venv/ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements.txt
	@touch $@

# the `dvc` that pip makes calls DVC; ours calls stages/dvc_command.py, which then does
.venv/wrapped: .venv/ready
	@sed -i.pip 's|^from dvc.cli import main|sys.path.append(sys.prefix + "/.."); from stages.dvc_command import main|' .venv/bin/dvc
	@touch $@

repro: setup  ## run what params.yaml asks for and was not run yet (JOBS=2: two trainings at a time)
	@python -m stages.check
# DVC runs one stage at a time, but its locks let several `dvc repro` work side by side
ifneq ($(JOBS),1)
	@dvc repro preprocess
	@share=$$(( ($$(getconf _NPROCESSORS_ONLN) + $(JOBS) - 1) / $(JOBS) )); \
	export OMP_NUM_THREADS=$${OMP_NUM_THREADS:-$$share}; \
	dvc stage list --name-only | grep '^train_' | \
		xargs -P $(JOBS) -n 1 dvc --wait-for-lock repro --quiet --single-item
endif
	@dvc repro

reproduce: setup  ## run the committed study again in a fresh clone, and compare its bytes
	@python -m stages.reproduce

studies: setup  ## check every study of studies/, and build its networks
	@python -m stages.studies

bench: setup  ## compare the engine with what one would otherwise write (takes a quarter of an hour)
	@python -m benchmarks

lint: setup  ## check style and types
	ruff check .
	ruff format --check .
	mypy

test: lint  ## check style and types, then run the tests
	pytest

slow: setup  ## run every study for a few steps on generated images (takes a quarter of an hour)
	pytest -m slow

lock: setup  ## pin the newest packages that pyproject.toml allows, with hashes
	uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-header --quiet --upgrade --output-file requirements.txt
