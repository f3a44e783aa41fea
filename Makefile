# Thin on purpose: every target is one command. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FORGELINE := $(BIN)/forgeline

.DEFAULT_GOAL := help
.PHONY: help install up status credentials tools down destroy verify test test-likeness lint format unit load pages lab test-docker bench lock

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

# The environment is complete only when the stamp is there: a killed install is done again.
$(VENV)/.ready: requirements.lock pyproject.toml
	@rm -f $@
	@echo "Installing Forgeline's Python packages into $(VENV) (once, about half a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

install: $(VENV)/.ready ## install Forgeline's Python packages, and nothing else

up: $(VENV)/.ready ## bring everything up, or finish what a killed run began
	@$(FORGELINE) up

status: $(VENV)/.ready ## servers, services and their last pipelines
	@$(FORGELINE) status

credentials: $(VENV)/.ready ## where the credentials are
	@$(FORGELINE) credentials

tools: $(VENV)/.ready ## get the tools that are missing (the first time: minutes)
	@$(FORGELINE) tools

down: $(VENV)/.ready ## stop everything, keep the data
	@$(FORGELINE) down

destroy: $(VENV)/.ready ## remove what Forgeline made (asks first; YES=1 does not ask)
	@$(FORGELINE) destroy $(if $(filter 1,$(YES)),--yes)

verify: $(VENV)/.ready ## check the running stack
	@$(FORGELINE) verify

test: lint unit load pages lab ## everything: lint, types, unit tests, load, pages, and a real stack on free ports

lint: $(VENV)/.ready ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.ready ## format the Python code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

unit: tools ## unit tests, and tests that start one server or tool
	$(BIN)/pytest -q -n 2 --dist loadgroup tests/unit tests/meta tests/oracles tests/likeness/test_openapi.py tests/docker

load: $(VENV)/.ready ## the embedded GitLab under fifty clients, and killed under them (a minute; LOAD_SECONDS, KILLS)
	$(BIN)/pytest -q tests/likeness/test_load.py tests/likeness/test_kill.py

pages: $(VENV)/.ready ## its pages in Chromium (SCREENSHOTS=folder keeps pictures)
	$(BIN)/pytest -q tests/pages

lab: tools ## stand a whole stack up in a temporary folder and use it
	$(BIN)/pytest -v -n 2 --dist loadgroup tests/lab

test-docker: $(VENV)/.ready ## the kinds, the images and the profile of a container engine, on a real one (part of `make test`)
	$(BIN)/pytest -v tests/docker

test-likeness: tools ## how like GitLab the stand-in is, by what others wrote (minutes; not part of `make test`)
	LOAD_SECONDS=60 KILLS=30 $(BIN)/pytest -q tests/likeness tests/pages \
	  tests/unit/lab/gitlab/pipelines/test_real_runner.py tests/unit/lab/gitlab/pipelines/test_real_runner_features.py

bench: tools ## measure bring-up (also in containers), proofs and the embedded GitLab; figures are kept under tests/benchmarks
	$(BIN)/python -m tests.benchmarks
	$(BIN)/python -m tests.benchmarks.proofs
	$(BIN)/python -m tests.benchmarks.onboarding
	$(BIN)/python -m tests.benchmarks.gitlab
	$(BIN)/python -m tests.benchmarks.containers

lock: ## resolve the dependencies anew
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --python-version 3.11 --extra dev pyproject.toml -o requirements.lock
