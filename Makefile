# `make run`: the main job. `make test`: linter, types and all tests. `make coverage`: what the
# tests reach, in twice the time. `make torture`: the long form of the tests of promises, and the
# table of docs/promises.md. `make mutation`: how many small faults the tests find in what reads
# foreign files and writes tables, in about an hour. Each sets up .venv first.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock

.PHONY: run test coverage torture mutation lock clean

run: .venv/run
	$(BIN)/python -m runner

test: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST)

coverage: .venv/test
	$(PYTEST) --cov=runner --cov-report=term

torture: .venv/test
	$(PYTEST) -m promise --long --promises=docs/promises.md

mutation: .venv/test
	$(BIN)/python tests/mutation.py

.venv/run: pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(INSTALL) --editable .
	touch $@

.venv/test: .venv/run
	$(INSTALL) --editable '.[test,docs,onnx]'
	touch $@

# Newest versions that suit every supported Python, but for the benchmark's peers; needs uv.
lock:
	uv --no-config pip compile --universal --python-version 3.11 --fork-strategy fewest --upgrade \
		--extra test --extra docs --extra onnx --no-emit-index-url --no-annotate --no-header --output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv build dist .coverage .mypy_cache .pytest_cache .ruff_cache
