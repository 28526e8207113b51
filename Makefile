# Everything works on a machine with Python 3.11 or newer, make and git. Try `make help`.

PYTHON ?= python3
BIN := .venv/bin
# One more than the cores of a small machine, since many tests wait for a server.
PARALLEL = -n 3 --dist worksteal

# The installed dependencies belong to this pyproject.toml; -dev with the development tools, -bench
# with the libraries that benchmarks compare with.
STAMP := .venv/.installed
DEV_STAMP := .venv/.installed-dev
BENCH_STAMP := .venv/.installed-bench
WITH_PLUGINS := $(CURDIR)/.venv/with-plugins

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo install test test-with-plugins check format bench proof clean

help:  ## say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' Makefile

demo: $(STAMP)  ## search the best network for handwritten digits, and say how to see it in MLflow
	$(BIN)/tunekit search examples/digits.toml

test: check  ## run all checks and all tests
	$(BIN)/python -m pytest $(PARALLEL)

test-with-plugins: $(DEV_STAMP)  ## run the tests once more, with the distributions in plugins/ installed
	rm -rf $(WITH_PLUGINS)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --target $(WITH_PLUGINS) ./plugins/*/
	PYTHONPATH=$(WITH_PLUGINS) $(BIN)/python -m pytest $(PARALLEL) --ignore tests/distributions

check: $(DEV_STAMP)  ## check format, style, types and who imports whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	for plugin in plugins/*/; do MYPYPATH=$$plugin $(BIN)/mypy $$plugin || exit 1; done
	$(BIN)/lint-imports

format: $(DEV_STAMP)  ## format the code and repair what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(BENCH_STAMP)  ## time a training step beside PyTorch, scikit-learn and JAX, and a search beside a script
	$(BIN)/python tests/benchmarks/engine.py
	$(BIN)/python tests/benchmarks/search_vs_sklearn.py

proof: $(DEV_STAMP)  ## print how right gradients, components and diagnoses are, and which mistakes are caught
	$(BIN)/python -m tests.benchmarks.gradients
	$(BIN)/python -m tests.benchmarks.parity
	$(BIN)/python -m tests.benchmarks.diagnosis
	$(BIN)/python -m tests.benchmarks.mistakes

install: $(DEV_STAMP)  ## make .venv with the development tools

clean:  ## remove .venv, caches and build results; what searches left behind stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml | $(BIN)/pip
	@echo "Installing tunekit and what it needs into .venv; this takes a minute or two."
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(DEV_STAMP): pyproject.toml | $(BIN)/pip
	@echo "Installing tunekit and its development tools into .venv; this takes a minute or two."
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(STAMP) $@

$(BENCH_STAMP): $(STAMP)
	@echo "Installing PyTorch and JAX, which a training step is compared with; PyTorch is large."
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	@touch $@

# With the first of these that is there and new enough. The target is pip and not python, because
# venv makes that one last: where it is, .venv is whole.
$(BIN)/pip:
	@for python in "$(PYTHON)" python3.13 python3.12 python3.11; do \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "Making .venv with $$("$$python" --version)."; \
	        "$$python" -m venv --clear .venv && exit 0; \
	        rm -rf .venv; \
	        echo "That Python cannot make virtual environments; on Debian: apt install python3-venv" >&2; \
	        exit 1; \
	    fi; \
	done; \
	echo "tunekit needs Python 3.11 or newer; $(PYTHON) --version says:" \
	    "$$("$(PYTHON)" --version 2>&1 || true)." \
	    "Name a newer one with make PYTHON=/path/to/python3" >&2; \
	exit 1
