# make demo   a small simulated Delhi from nothing to figures
# make test   the tests      make test-slow   the heavier ones      make lint   formatting, lint, types
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow lint clean
.DELETE_ON_ERROR:

demo: .venv/runtime.stamp
	$(BIN)/pm25 demo

test: .venv/development.stamp
	$(BIN)/pytest -n 2 --dist loadfile -m 'not slow'

test-slow: .venv/development.stamp
	$(BIN)/pytest -n 2 --dist loadfile -m slow

lint: .venv/development.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/runtime.stamp: pyproject.toml requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/development.stamp: .venv/runtime.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
