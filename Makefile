# Everything runs in a virtual environment of its own, made on first use.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install demo bench test test-cluster lint types docs clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed-dev  ## make the virtual environment and install the package in it

demo: install  ## train and score a small net on the built-in corpus, in a few minutes
	$(BIN)/phoneme-cli fit --config configs/crnn.yaml --config configs/trainer/demo.yaml

bench: install  ## try every benchmark of speed, in some minutes; benchmarks/README.md says how to measure
	for name in limits training inference data agreement startup speed_run ideas; do \
		echo "== $$name"; $(BIN)/python benchmarks/$$name.py --quick || exit 1; \
	done

test: install  ## run the tests
	$(BIN)/python -m pytest -n auto --maxprocesses 3 --dist worksteal

test-cluster: install  ## test with SLURM and PostgreSQL, which Debian or Ubuntu installs first
	tests/cluster/install.sh
	$(BIN)/python -m pytest tests/cluster -n auto --maxprocesses 3 --dist worksteal

lint: install  ## check style and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: install  ## check types
	$(BIN)/mypy

docs: $(VENV)/.installed-docs  ## build the site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:  ## remove what was built; data/ and runs/ stay
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) here: install Python 3.11, 3.12 or 3.13, or name one with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "make: $(PYTHON) is `$(PYTHON) --version 2>&1`, but 3.11, 3.12 or 3.13 is needed: name one with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "make: $(PYTHON) has no venv: install it (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --editable '.[$*]'
	@touch $@
