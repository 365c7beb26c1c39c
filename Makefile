# Every target sets up what it needs: an environment in .venv, from files with hashes, no root.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
UV := $(BIN)/uv
OUT ?= fairway-demo
LAB := $(BIN)/python -m lab

.DEFAULT_GOAL := help

help: ## Say what can be made
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.dev ## Make the environment of developers

demo: .venv/.demo ## A whole canary on this machine: a real proxy, real model servers, no cluster
	@$(BIN)/fairway demo --dir $(OUT) $(if $(CANDIDATE),--candidate $(CANDIDATE)) || { code=$$?; \
	  echo "fairway demo ended with exit code $$code (1: not promoted); make itself ends with 2" >&2; exit $$code; }

fmt: .venv/.dev ## Format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: .venv/.dev ## Check format and lint rules, and that dependencies point one way
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache

types: .venv/.dev ## Check types, strictly
	$(BIN)/mypy

check: .venv/.dev ## Check the rendered manifests: up to date, and every argument, reference and name
	$(BIN)/fairway render --check true
	$(BIN)/fairway check manifests

test: .venv/.dev .venv/.prometheus lint types check ## All of the above, then every test: unit, contract, and releases on this machine
	$(BIN)/pytest -m "not cluster" -n 3 --dist loadfile --no-loadscope-reorder

unit: .venv/.dev ## The tests that start no servers, in seconds
	$(BIN)/pytest -m "not local and not cluster"

.root:
	@[ "$$(uname -s) $$(id -u)" = "Linux 0" ] || { \
	  echo "error: the lab needs Linux and root; run it as \`sudo make $(MAKECMDGOALS)\`, or in a VM. To run the end-to-end tests on a cluster" \
	    "of your own (kind, k3d, any other) instead: make e2e KUBECONFIG=\$$HOME/.kube/config   (docs/lab.md says what it must hold)" >&2; exit 1; }

lab: .root .venv/.dev ## Bring up a whole cluster on this machine: Kubernetes, Argo, Tekton, Envoy Gateway, KServe, Prometheus (root); WITH=istio
	@$(LAB) up $(if $(WITH),--with $(WITH))

istiod: .root .venv/.dev ## Build istiod, which the contract tests of VirtualServices start where it is (about 5 min, once)
	@$(LAB) build --with istiod

lab-status: .root .venv/.dev ## Tell what of the lab runs
	@$(LAB) status

lab-shell: .root .venv/.dev ## A shell inside the lab, with kubectl and argo at hand
	@$(LAB) shell

lab-down: .root .venv/.dev ## Remove every trace of the lab, but not its cache
	@$(LAB) down

e2e: .venv/.dev ## The end-to-end tests on the lab; make e2e KUBECONFIG=FILE: on another cluster
	@$(if $(filter command,$(firstword $(origin KUBECONFIG))),env KUBECONFIG="$(abspath $(KUBECONFIG))" \
		PATH="$(CURDIR)/$(BIN):$$PATH",$(LAB) run --) env FAIRWAY_E2E=1 $(BIN)/pytest -m cluster -n 3 --dist loadfile --no-loadscope-reorder tests/e2e/cluster \
		$(if $(filter command,$(firstword $(origin KUBECONFIG))),,tests/contract) $(TESTS)

bench-cluster: .root .venv/.dev ## Measure a release on the lab: where its time goes, its API requests, its images
	@$(LAB) run -- env PYTHONPATH=tests:. $(BIN)/python bench/cluster_release.py $(WHAT)

golden: .venv/.dev ## Rewrite what is rendered from the code: manifests and reference
	$(BIN)/fairway render --out manifests
	$(BIN)/fairway schema > examples/release.schema.json
	$(BIN)/python docs/reference.py
	$(BIN)/python docs/presets.py

matrix: .venv/.dev ## Rewrite the matrix of strategies and routes; what the lab shows: make e2e TESTS="-m carries --matrix docs/matrix.json"
	$(BIN)/pytest -q -m carries tests/e2e --matrix docs/matrix.json
	$(BIN)/pytest -q tests/contract/test_strategies.py tests/contract/test_istiod.py tests/contract/test_traefik.py --matrix docs/matrix.json
	$(BIN)/python docs/matrix.py

bench: .venv/.dev ## Measure: verdicts beside those of other systems, start-up of each step, the overhead of a release, the load test
	$(BIN)/python bench/assessment.py
	$(BIN)/python bench/startup.py
	$(BIN)/python bench/release.py
	$(BIN)/python bench/load_test.py

lock: .venv/.uv ## Resolve and pin every requirement anew, with hashes
	$(BIN)/python requirements/lock.py

clean: ## Remove what was made
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis $(OUT)

.venv/.uv: requirements/uv.txt
	@test -n "$(PYTHON)" || { echo "error: no Python from 3.11 to 3.13 found; install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	@echo "setting up .venv with $(PYTHON)"
	@$(PYTHON) -m venv --clear .venv || { echo "error: $(PYTHON) has no venv module; on Debian: apt install python3-venv" >&2; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.demo: .venv/.uv requirements/demo.txt pyproject.toml
	@echo "installing the demo's packages (about 1 GB on disk, once)"
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/demo.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.uv requirements/dev.txt pyproject.toml
	@echo "installing the developers' packages"
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@ .venv/.demo

# A machine without apt may bring its own Prometheus on the PATH; the tests say so where there is none, and CI fails.
.venv/.prometheus: .venv/.uv requirements/debian.py
	@$(BIN)/python requirements/debian.py prometheus >/dev/null && touch $@ || command -v prometheus >/dev/null || test -z "$(CI)"

.PHONY: .root help setup demo fmt lint types check test unit lab istiod lab-status lab-shell lab-down e2e golden matrix bench bench-cluster lock clean
