# Each target makes the environment .venv when needed; nothing else has to be installed first.
PYTHON ?= python3
QM7 := .venv/bin/qm7

.PHONY: run test lint bench clean

run: .venv/ready  ## the main job, short: every fold of QM7, the true gradient, 20,000 iterations
	test -n "$$QM7_DATA" || $(QM7) download
	$(QM7) train --variant corrected --config experiments/quick.yaml

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
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv
