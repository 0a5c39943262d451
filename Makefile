# Two commands: `make up` starts a cluster and shows it at work, `make test` passes all tests.
PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
TESTABLE := $(VENV)/.testable

.PHONY: up down purge test fuzz bench format clean

up: $(INSTALLED)
	@tools/packages run
	@$(VENV)/bin/skiff up --demo

down:
	@$(VENV)/bin/skiff down

purge:
	@$(VENV)/bin/skiff down --purge

test: $(TESTABLE)
	@tools/packages run test
	@$(VENV)/bin/pytest -n 2 --dist loadgroup

fuzz: $(TESTABLE)
	@SKIFF_FUZZ_SLICES=24 $(VENV)/bin/pytest -n 2 --dist loadscope tests/fuzz

bench: $(TESTABLE)
	@tools/packages run test
	@$(VENV)/bin/python -m bench

format: $(TESTABLE)
	@$(VENV)/bin/ruff format . && $(VENV)/bin/ruff check --fix .

$(INSTALLED): pyproject.toml hatch_build.py
	@tools/packages python
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing skiff into $(VENV) ..."
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(TESTABLE): $(INSTALLED)
	@echo "Installing what the tests need into $(VENV) ..."
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) skiff/api/data
