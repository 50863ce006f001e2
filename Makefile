# Everything a developer, CI and a newcomer run. `make` lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements.lock
CONSOLE := api/console
VENDOR := $(CONSOLE)/static/vendor
NODE := .node

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

.PHONY: demo
demo: setup ## the whole way on real readings; then the API stays up (DEMO_SECONDS=60: by itself)
	@$(BIN)/suifang demo

.PHONY: test
test: setup browser prometheus systemd ## the whole test suite on the real services and in a real browser
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# The console's tests need the distribution's Chromium, and a font that has Chinese.
.PHONY: browser
browser:
	@if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then \
		if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
			echo "make: no Chromium for the console's tests: apt install chromium fonts-noto-cjk"; exit 1; fi; \
		echo "installing Chromium"; \
		packages="chromium fonts-noto-cjk"; \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$packages >/dev/null 2>&1 \
			|| { apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$packages >/dev/null; }; \
	fi

# The alerts' tests need the distribution's Prometheus. Its package is unpacked, never installed: no
# service, no root, nothing outside .suifang.
PROMETHEUS := .suifang/prometheus
.PHONY: prometheus
prometheus:
	@if ! { command -v prometheus && command -v promtool; } >/dev/null && ! test -x $(PROMETHEUS)/usr/bin/promtool; then \
		command -v apt-get >/dev/null || { echo "make: no Prometheus for the alerts' tests: install prometheus"; exit 1; }; \
		echo "unpacking Prometheus"; \
		rm -rf $(PROMETHEUS) $(PROMETHEUS).new && mkdir -p $(PROMETHEUS).new && cd $(PROMETHEUS).new \
		&& { apt-get download -qq prometheus >/dev/null 2>&1 \
			|| { apt-get update -qq >/dev/null 2>&1; apt-get download -qq prometheus 2>&1; }; } \
		&& dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb && cd - >/dev/null && mv $(PROMETHEUS).new $(PROMETHEUS) \
		|| { echo "make: apt-get download prometheus failed: apt install prometheus"; exit 1; }; \
	fi

# The units of deploy/systemd are read by systemd's own checker.
.PHONY: systemd
systemd:
	@if ! command -v systemd-analyze >/dev/null; then \
		if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
			echo "make: no systemd-analyze for the tests: apt install systemd"; exit 1; fi; \
		echo "installing systemd's checker"; \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends systemd >/dev/null 2>&1 \
			|| { apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends systemd >/dev/null; }; \
	fi

.PHONY: screenshots
screenshots: setup browser ## pictures of the console's pages, into docs/images
	@$(BIN)/python -m tests.screenshots

.PHONY: scenarios
scenarios: setup ## every scenario that ships, whole, in virtual time (ARGS="--short"; SCENARIOS="flu-season")
	@for name in $(or $(SCENARIOS),$(basename $(notdir $(wildcard simulators/scenarios/*.toml)))); do \
		$(BIN)/suifang simulate run $$name --check $(ARGS) || exit 1; done

.PHONY: faults
faults: setup ## everything killed, cut and starved under 30 schedules, nothing lost (ARGS="--seed 7")
	@$(BIN)/python -m tests.faults $(ARGS)

.PHONY: crash
crash: setup ## the gateway killed 300 times at random instants, under load (KILLS=1000 SEED=7)
	@CRASH_KILLS=$(or $(KILLS),300) CRASH_SEED=$(or $(SEED),1) $(BIN)/python -m pytest -q -s tests/integration/test_gateway_kills.py

.PHONY: walk
walk: wheel ## docs/operations.md on an empty Debian with a real systemd; root, minutes (ARGS="--folder DIR": keep it)
	@$(BIN)/python -m tests.walk $(ARGS)

.PHONY: walk-containers
walk-containers: wheel ## docs/containers.md in real containers, without a registry; root, minutes (ARGS="--folder DIR": keep it)
	@$(BIN)/python -m tests.walk.containers $(ARGS)

.PHONY: upgrade
upgrade: setup ## an older version's workers beside this schema, then this version; nothing lost (FROM=COMMIT)
	@$(BIN)/python -m tests.upgrade $(FROM)

.PHONY: bench
bench: $(VENV)/.locked ## speed and memory of the rules beside polars and duckdb (ARGS="--residents 20000": smaller)
	@$(BIN)/python -m tests.benchmarks.rules_speed $(ARGS)

.PHONY: fuzz
fuzz: $(VENV)/.locked ## a million mutated messages, packets and device values (ARGS="--seed 7": again)
	@$(BIN)/python -m tests.fuzz $(ARGS)

.PHONY: fuzz-api
fuzz-api: setup ## schemathesis over the whole OpenAPI document, all checks (SECONDS=600 SEED=7)
	@FUZZ_API_SECONDS=$(or $(SECONDS),600) FUZZ_API_SEED=$(or $(SEED),1) $(BIN)/python -m pytest -q -s --timeout 7200 tests/integration/test_api_fuzz.py

.PHONY: bench-spool
bench-spool: $(VENV)/.locked ## a million readings in the gateway's spool: room, opening, speed (ARGS="--readings 100000")
	@$(BIN)/python -m tests.benchmarks.spool_size $(ARGS)

.PHONY: load
load: setup ## thousands of gateways on a private stack, then a report (ARGS="--find-capacity")
	@$(BIN)/suifang simulate load $(ARGS)

.PHONY: bench-ingest
bench-ingest: setup ## speed from the broker to the committed row (ARGS="--peers": beside two others)
	@$(BIN)/suifang bench ingest $(ARGS)

.PHONY: bench-gateway
bench-gateway: setup ## what the edge process costs, and how fast it drains its spool
	@$(BIN)/suifang bench gateway $(ARGS)

.PHONY: bench-api
bench-api: setup ## the API before a city's database (ARGS="--residents 50000 --readings 1000000 --cases 15000")
	@$(BIN)/suifang bench api $(ARGS)

.PHONY: bench-peers
bench-peers: .venv-bench/.locked ## what `suifang bench ingest --peers` measures ingest against, in an environment of its own

.venv-bench/.locked: deploy/bench/peers.lock
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --only-binary :all: -r $<
	@touch $@

.PHONY: check
check: setup ## format, lint, types, import contracts, tidiness
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/architecture

.PHONY: setup
setup: $(VENV)/.locked ## virtual environment, pages' scripts and embedded stack, nothing running
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory assets; \
		else echo "npm not found: the console runs without live updates and charts"; fi
	@$(BIN)/suifang stack fetch

.PHONY: assets
assets: $(VENDOR)/.locked ## the scripts of others that the console's pages load (needs Node)
	@:

# npm compares every package with the hash in the lock file; the files go into the wheel.
$(VENDOR)/.locked: $(CONSOLE)/package-lock.json
	@command -v npm >/dev/null || { echo "make: npm not found: apt install npm"; exit 1; }
	@echo "installing the console's scripts"
	@mkdir -p $(NODE) && cp $(CONSOLE)/package.json $(CONSOLE)/package-lock.json $(NODE)/
	@npm ci --prefix $(NODE) --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	@mkdir -p $(VENDOR)
	@cp $(NODE)/node_modules/htmx.org/dist/htmx.min.js $(NODE)/node_modules/echarts/dist/echarts.min.js $(VENDOR)/
	@cp $(NODE)/node_modules/htmx.org/LICENSE $(VENDOR)/htmx.LICENSE
	@cat $(NODE)/node_modules/echarts/LICENSE $(NODE)/node_modules/echarts/NOTICE $(NODE)/node_modules/zrender/LICENSE > $(VENDOR)/echarts.LICENSE
	@touch $@

# Interrupted anywhere, the marker is missing and the next run goes on; pip verifies every hash.
$(VENV)/.locked: $(LOCK) pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found: apt install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: Python 3.11 or later is needed; set PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
	@echo "installing locked dependencies"
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes --only-binary :all: -r $(LOCK)
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: fmt
fmt: ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: schema
schema: ## write the published JSON Schema of the wire contract
	$(BIN)/python -m gateway.wire.publish

.PHONY: metrics
metrics: $(VENV)/.locked ## write docs/metrics.md again, after a change of what processes tell Prometheus
	$(BIN)/python -m deploy.monitoring.catalogue

.PHONY: dashboards
dashboards: $(VENV)/.locked ## write deploy/grafana/*.json again, after a change of the dashboards
	$(BIN)/python -m deploy.monitoring.dashboards

.PHONY: openapi
openapi: $(VENV)/.locked ## write docs/openapi.json again, after a change of the API
	$(BIN)/python -m api.publish

.PHONY: openapi-release
openapi-release: $(VENV)/.locked ## make docs/openapi.json what later versions may not break
	$(BIN)/python -m api.publish --release

.PHONY: lock
lock: ## resolve the lock file again, newest versions that fit
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --upgrade --quiet -o $(LOCK)
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 -c $(LOCK) \
		--generate-hashes --no-emit-index-url --no-header --quiet -o deploy/gateway/requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra gateway-tests --universal --python-version 3.11 -c $(LOCK) \
		--generate-hashes --no-emit-index-url --no-header --quiet -o deploy/gateway/tests.lock
	$(BIN)/uv pip compile pyproject.toml --extra server --extra simulators --universal --python-version 3.11 -c $(LOCK) \
		--generate-hashes --no-emit-index-url --no-header --quiet -o deploy/server/requirements.lock
	$(BIN)/uv pip compile --group bench-peers --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --upgrade --quiet -o deploy/bench/peers.lock

# What a server is installed from, by hand or as an image (docs/operations.md, Dockerfile).
.PHONY: wheel
wheel: setup ## dist/suifang-VERSION-py3-none-any.whl
	@rm -rf dist && $(BIN)/python -m hatchling build -t wheel -d dist >/dev/null && ls dist/*.whl

.PHONY: up
up: setup ## start the embedded stack
	@$(BIN)/suifang stack up

.PHONY: down
down: ## stop the embedded stack
	@test ! -x $(BIN)/suifang || $(BIN)/suifang stack down

.PHONY: clean
clean: ## remove everything these commands made
	@test ! -x $(BIN)/suifang || for home in .suifang/drill .suifang/faults .suifang/bench .suifang/test/bench .suifang/test; do \
		test ! -d $$home || SUIFANG_HOME=$$home $(BIN)/suifang stack down --erase || exit 1; done
	@test ! -x $(BIN)/suifang || $(BIN)/suifang stack down --erase
	rm -rf $(VENDOR) $(NODE) $(VENV) .venv-bench .suifang .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
