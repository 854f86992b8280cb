# penstock: `make help` lists the targets. Everything is set up in .venv of this clone.
# The first that runs and is new enough: a name on the PATH may be a shim of something that is not installed.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PYTEST ?= $(BIN)/pytest
# Processes that tests run in, each with a broker of its own: much of a test is waiting for other processes.
WORKERS ?= 2

.DEFAULT_GOAL := help
# Every target with a help text: none is a file.
.PHONY: $(shell sed -nE 's/^([a-z-]+):.*\#\# .*/\1/p' $(MAKEFILE_LIST))

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(VENV)/.ready ## make .venv with the pinned packages and the penstock command

$(VENV)/.ready: deploy/requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "penstock needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "setting up .venv (a few minutes the first time)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --require-hashes -r deploy/requirements.lock
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

test: setup ## run every test; those that need a real API server or helm when `make kubernetes-bed helm` was run, else it says so
	@without=""; \
	$(BIN)/python -m tests.kubernetes.bed ready || without="not kubernetes"; \
	$(BIN)/python -m tests.chart ready || without="$${without:+$$without and }not helm"; \
	$(PYTEST) -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder --max-worker-restart 2 -m "$$without"

helm: setup ## build helm from its Go module into the cache: needs go, a minute once
	$(BIN)/python -m tests.chart

test-chart: helm ## the tests of the Helm chart
	$(BIN)/pytest -q tests/chart

kubernetes-bed: setup ## build etcd, kube-apiserver and the conformance suite into the cache: needs go, 15 minutes once
	$(BIN)/python -m tests.kubernetes.bed

test-kubernetes: kubernetes-bed ## the tests of tests/kubernetes, the real API server's too; KUBERNETES_OBJECTS sets how many
	$(BIN)/pytest -q tests/kubernetes

own-kafka: setup ## a Kafka with TLS and SASL, two resolvers: killed, and Kafka away; KAFKA_HAND_OVERS and KAFKA_AWAY_SECONDS set how often and how long
	$(BIN)/pytest -q -s tests/e2e/test_own_kafka.py

poison: setup ## one route that no Envoy takes among POISON_ROUTES (5000) others: nobody else notices
	POISON_ROUTES=$${POISON_ROUTES:-5000} $(BIN)/pytest -q -s tests/e2e/test_poison.py

conformance: setup ## the Gateway API's conformance suite, all features; REPORT is where its report goes; needs root, ip, go
	$(BIN)/python -m tests.conformance --report $${REPORT:-docs/conformance/report.yaml}

conformance-core: setup ## the suite's core tests alone: about 90 seconds
	$(BIN)/python -m tests.conformance --core

demo: setup ## the main job with real Kafka and real Envoy; ends by itself
	$(BIN)/python deploy/demo/demo.py

docs: setup ## write the generated reference pages
	$(BIN)/python -m streams.cli.reference

lint: setup ## ruff, mypy --strict, import contracts
	$(BIN)/ruff check engine streams tests deploy docs/examples
	$(BIN)/ruff format --check engine streams deploy docs/examples
	$(BIN)/mypy
	$(BIN)/lint-imports

coverage-kgateway: setup ## fields of kgateway's API that are done, and why the others are not
	$(BIN)/python -m tests.coverage_kgateway

golden: setup ## rewrite what the golden cases say; read the difference
	UPDATE_GOLDEN=1 $(BIN)/pytest -q tests/golden tests/sinks/kubernetes tests/models/test_crd.py tests/streams/test_permissions.py tests/chart/test_files.py -k "not played"

mutants: setup ## every seeded mutant of the translation against the goldens; the list is printed
	$(BIN)/pytest -q -s tests/mutants

routing: setup ## the specification's matcher against the real Envoy on many random tables
	ROUTING_TABLES=200 $(BIN)/pytest -q tests/routing

pgv: setup ## extract Envoy's own field rules anew, in a virtual environment that is thrown away
	@rm -rf .pgv && $(PYTHON) -m venv .pgv && .pgv/bin/pip install -q xds-protos==1.85.0
	$(BIN)/python deploy/pgv.py names | .pgv/bin/python deploy/pgv.py extract > .pgv/rules.json
	@mv .pgv/rules.json engine/envoy/pgv_rules.json && rm -rf .pgv

explain: setup ## explain against the real Envoy on random tables of routes; EXPLAIN_REQUESTS and EXPLAIN_SEED set how many and repeat them
	EXPLAIN_REQUESTS=$${EXPLAIN_REQUESTS:-10000} $(BIN)/pytest -q -s tests/explain/test_envoy.py

fuzz: setup ## 100,000 random manifests of kgateway's kinds against the real Envoy; FUZZ_MANIFESTS and FUZZ_SEED set how many and repeat them
	FUZZ_MANIFESTS=$${FUZZ_MANIFESTS:-100000} $(BIN)/pytest -q -s tests/fuzz

chaos: setup ## a hundred kills under a stream of changes; CHAOS_KILLS and CHAOS_SEED set how many and repeat an order
	CHAOS_KILLS=$${CHAOS_KILLS:-100} $(BIN)/pytest -q -s tests/chaos

bench: setup ## where the time goes; prints a table and writes bench.json
	$(BIN)/python -m tests.benchmarks

bench-history: setup ## a log of HISTORY_CHANGE_SETS (1,000,000): any moment of it, and what became of an object; prints a table
	$(BIN)/python -m tests.benchmarks.history

bench-kubernetes: kubernetes-bed ## from a change at a real API server to the answer; prints a table, writes bench-kubernetes.json
	$(BIN)/python -m tests.benchmarks.kubernetes
