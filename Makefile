# The few commands that are more than one word. Everything else is plain dvc: see README.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip install --quiet --progress-bar off
export PATH := $(CURDIR)/$(BIN):$(PATH)

JOBS ?= 2

.PHONY: install install-dev repro check test test-slow coverage doctor pins transfer bench gpu faults controls recipe article paper pilot phase collect show map dictionary backup verify-backup push pull

# What a run needs; and, on top of it in the same environment, what tests and checks need.
install: $(INSTALLED)
$(INSTALLED): requirements.txt constraints-cuda.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and "Python 3.11 to 3.13 is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements.txt
	@touch $@

install-dev: $(INSTALLED_DEV)
$(INSTALLED_DEV): requirements-dev.txt requirements-tracking.txt $(INSTALLED)
	$(PIP) -r requirements-dev.txt
	@touch $@

# Where nothing had to run, `report` has not printed its screen: show the stored one.
repro: install
	@touch $(VENV)/.repro-started
	$(BIN)/dvc repro
	@[ reports/summary.txt -nt $(VENV)/.repro-started ] || cat reports/summary.txt

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: check
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder # the pipeline's few long tests first

test-slow: install-dev
	$(BIN)/python -m pytest -m slow

# Kills, signals, full disks, damaged files, servers' answers -> docs/faults.md.
# make faults ONLY=kill,disk ARGS='--kills 10 --workspace DIR'
faults: install-dev
	$(BIN)/python -m tests.faults $(if $(ONLY),--only $(ONLY)) $(ARGS)

# Lines of finscale and stages that the quick tests run (docs/testing.md).
coverage: install-dev
	$(BIN)/coverage erase
	-$(BIN)/coverage run -m pytest -q tests/unit tests/invariants
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --skip-covered --sort=cover

doctor: install
	@$(BIN)/python -m study.doctor

# Does every pin install on every platform and Python? Asks the package registry; the table goes to docs/install.md.
pins: install
	$(BIN)/python -m study.pins

transfer: install
	$(BIN)/python -m study.transfer --seeds 0 1

bench: install-dev
	$(BIN)/python -m tests.bench.sources
	$(BIN)/python -m tests.bench.features
	$(BIN)/python -m tests.bench.evaluation
	$(BIN)/python -m tests.bench.panel
	$(BIN)/python -m tests.bench.engine
	$(BIN)/python -m tests.bench.laws

# make gpu PACK=DIR: tests, bench and a pack on CUDA, each with its time limit (docs/gpu.md).
GPU_OUT ?= gpu-results
gpu: install-dev
	$(BIN)/python -m tests.gpu.run $(GPU_OUT) $(if $(PACK),--pack $(PACK))

# Planted markets, and ladders on simulated panels: what has been measured and run is not done again.
controls: install
	$(BIN)/python -m study.controls --jobs $(JOBS) $(ARGS)

# The protocol by which the default recipe was chosen; runs that results/recipe.csv holds are not run again.
recipe: install
	$(BIN)/python -m study.recipe $(ARGS)

# The article, every result in it from the ledger; and the same as a PDF.
article: install
	$(BIN)/python -m study.article

paper: install
	$(PIP) -r requirements-paper.txt
	$(BIN)/python -m study.paper

# The ladder of README's figure, and the figure.
pilot: install
	$(BIN)/python -m study.phase pilot --jobs $(JOBS)
	$(BIN)/dvc repro

# make phase P=1 ARGS='--dry'; make phase P=6A ARGS='--budgets 10K 30K --set source=directory'
phase: install
	$(BIN)/python -m study.phase $(P) --jobs $(JOBS) $(ARGS)

collect: install
	$(BIN)/python -m study.collect

show: install
	@$(BIN)/python -m study.show

# Every folder and module with one line on what it is.
map: install
	@$(BIN)/python -m study.map $(ARGS)

dictionary: install
	$(BIN)/dvc repro dictionary

backup: install
	$(BIN)/python -m study.backup

verify-backup: install
	$(BIN)/python -m study.backup verify

push pull: install
	$(BIN)/python -m study.remote $@
