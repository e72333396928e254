# Everything runs in a virtual environment (.venv); Python 3.11 or newer and make are all it takes.

ifndef PYTHON
PYTHON := $(shell for p in python3.14 python3.13 python3.12 python3.11 python3 python; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$p; break; fi; done)
endif

VENV := .venv
# not "bin/pip": a path inside a script's first line may not be long, and the folder may have been moved
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz bench lint types docs wheel clean

help:
	@echo "make demo    train, save, reload and use a digit classifier"
	@echo "make test    the tests            make fuzz    10000 random programs: each trains or is refused"
	@echo "make bench   the benchmarks, beside other frameworks where they are installed"
	@echo "make lint    ruff: rules and format       make types   mypy --strict"
	@echo "make docs    renew the listings, write docs/api   make wheel   build dist/insitu-*.whl"
	@echo "make clean   remove .venv and what was built"

$(RUN):
	@test -n "$(PYTHON)" || { echo "insitu needs Python 3.11 or newer; none was found. Name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV); echo "$(PYTHON) has no venv module: this system keeps it in a package of its own (Debian: apt install python3-venv)" >&2; exit 1; }

$(VENV)/installed: pyproject.toml insitu/version.py | $(RUN)
	@echo "installing insitu into $(VENV)"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/installed-dev: pyproject.toml insitu/version.py | $(RUN)
	@echo "installing insitu and the tools for its tests into $(VENV)"
	@$(PIP) install --editable '.[dev]'
	@touch $(VENV)/installed $@

demo: $(VENV)/installed
	@$(RUN) -m insitu demo

test: $(VENV)/installed-dev
	@$(RUN) -m pytest $(PYTEST)

fuzz: $(VENV)/installed-dev
	@$(RUN) tests/fuzz.py 10000 $(FUZZ)

bench: $(VENV)/installed
	@$(RUN) bench/run.py $(BENCH)

lint: $(VENV)/installed-dev
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .

types: $(VENV)/installed-dev
	@$(RUN) -m mypy

docs: $(VENV)/installed
	@$(RUN) docs/make_how_it_works.py
	@$(RUN) docs/make_api.py
	@$(RUN) docs/make_errors.py

wheel: $(VENV)/installed-dev
	@$(RUN) -m hatchling build -t wheel

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
