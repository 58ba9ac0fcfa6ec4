# Each target makes the environment .venv when needed; nothing else has to be installed first.
PYTHON ?= python3
PIP ?= .venv/bin/python -m pip
QM7 := .venv/bin/qm7
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: run test lint bench clean

run: .venv/ready  ## the main job, short: every fold of the bundled molecules, the true gradient, 5,000 iterations
	$(QM7) train --data gfn7 --variant corrected --iterations 5000
	@echo
	@echo "Next, QM7 itself:   .venv/bin/qm7 download && .venv/bin/qm7 train --config experiments/quick.yaml"
	@echo "or all variants:    for v in original corrected no-prebias; do .venv/bin/qm7 train --data gfn7 --variant \$$v --iterations 20000; done"

test: .venv/ready
	.venv/bin/pytest -n auto

lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench: .venv/ready
	.venv/bin/python benchmarks/step.py
	.venv/bin/python benchmarks/commands.py

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv
