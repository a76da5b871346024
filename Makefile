# `make demo` and `make test` each set up what they need, from nothing but Python 3.11+, make, git and a package index.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test test-slow lint setup lock clean

demo: setup  ## train a conditional DDPM on procedural chest X-rays, and draw samples
	$(BIN)/python -m train --config configs/ddpm_cxr.py

test: setup  ## the fast tests
	$(BIN)/python -m ruff check .
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

test-slow: setup  ## the tests that take longer
	$(BIN)/python -m pytest -m slow

lint: setup
	$(BIN)/python -m ruff check .

setup: $(VENV)/.installed

# Whole or not at all: the mark is written last, so that a broken install is done again.
$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

lock:  ## resolve the newest versions that pyproject.toml allows; needs uv
	uv pip compile --universal --python-version 3.11 --fork-strategy requires-python --extra test --extra tensorboard --extra explain \
	  --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .cache build *.egg-info
