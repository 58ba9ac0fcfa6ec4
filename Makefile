# Each target makes the environment .venv when needed, or adds to it; nothing else has to be installed first.
PYTHON ?= python3
PIP ?= .venv/bin/python -m pip
QM7 := .venv/bin/qm7
export PIP_DISABLE_PIP_VERSION_CHECK = 1

# Tests wait for processes a good deal.
WORKERS ?= $(shell $(PYTHON) -c "import os; print(os.cpu_count() + 1)")

.PHONY: run test lint bench docs reference clean

run: .venv/installed  ## the main job, short: every fold of the bundled molecules, the true gradient, 5,000 iterations
	@echo "Training on five folds of the bundled molecules: half a minute on two cores."
	$(QM7) train --data gfn7 --variant corrected --iterations 5000
	@echo
	@echo "Next, QM7 itself:   .venv/bin/qm7 download && .venv/bin/qm7 train --config fast"
	@echo "or all variants:    for v in original corrected no-prebias; do .venv/bin/qm7 train --data gfn7 --variant \$$v --iterations 20000; done"

test: .venv/ready
	.venv/bin/pytest -n $(WORKERS)

lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache

bench: .venv/installed
	@echo "Measuring iterations and commands on QM7: four minutes on two idle cores."
	.venv/bin/python benchmarks/step.py
	.venv/bin/python benchmarks/commands.py

docs: .venv/ready  ## the pages as a site, which can be opened from disk
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet
	@echo "Open site/index.html in a browser."

reference: .venv/ready  ## write anew what pages have from the code: the reference, and what their sessions print
	.venv/bin/python tools/make_reference.py
	.venv/bin/python tools/sessions.py README.md docs/tutorial.md

.venv/installed: pyproject.toml  # what the program needs
	@echo "Installing the program into .venv: 15 seconds, and as long as its packages take to download."
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet --editable .
	touch $@

.venv/ready: .venv/installed  # and what its tests and checks need
	@echo "Installing what the tests need into .venv: 15 seconds, and as long as the packages take to download."
	$(PIP) install --quiet --upgrade 'pip>=25.1'  # which knows dependency groups
	$(PIP) install --quiet --editable . --group dev
	touch $@

clean:
	rm -rf .venv site
