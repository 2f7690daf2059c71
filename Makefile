# make run   a running Sandkeeper with demo data at http://127.0.0.1:8000
# make test  every test that can run on this machine; says what it skipped and why

SHELL := /bin/bash
# Compiled modules are kept, whatever the shell says: hundreds of processes are started.
unexport PYTHONDONTWRITEBYTECODE
# uv trusts what the machine trusts, a private authority included, as pip does.
export UV_SYSTEM_CERTS ?= 1
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

.PHONY: run test test-fast coverage mutants lint audit licences matrix soak clients pins image clean

run: ready $(INSTALLED)
	@$(PYTHON) -m project.development
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py ensure_dev_admin
	@LOG_LEVEL=WARNING ATTEMPT_SECONDS=0.2 $(BIN)/python manage.py load_demo
	@echo "Sandkeeper comes up at http://127.0.0.1:$$(sed -n 's/^WEB_PORT=//p' .env) - Ctrl-C ends everything."
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/honcho start || test $$? -eq 130

test: $(INSTALLED)
	@$(BIN)/python -m tests

# While you write: what is quick and runs on SQLite, in less than 90 s.
test-fast: $(INSTALLED)
	@$(BIN)/python -m tests --fast

# The same with the branches that it takes, which costs 40 % more time.
coverage: $(INSTALLED)
	@rm -f .coverage .coverage.*
	@COVERAGE=1 $(BIN)/python -m tests
	@$(BIN)/coverage report

soak: $(INSTALLED)
	@$(BIN)/python -m tests --soak

# Change the core in one place at a time: its tests or the simulation must notice. Takes long, at low priority.
mutants: $(INSTALLED)
	@$(BIN)/python -m tests.mutants

# Keep the OpenAPI document as the code has it, and write the clients' types from it. BREAKING=--breaking keeps
# also what breaks programs that were written by the document kept until now.
clients: $(INSTALLED)
	@$(BIN)/python -m clients $(BREAKING)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo --no-cache
	SECRET_KEY=lint $(BIN)/mypy .

# Known vulnerabilities in what production installs. Fails when nobody could be asked, unless AUDIT_OFFLINE=1.
audit: $(INSTALLED)
	@$(BIN)/python -m tests.audit

# A bill of materials (CycloneDX) and the licences of what production installs, into var/; fails for one not allowed.
licences: $(INSTALLED)
	@$(BIN)/python -m tests.licences

# A part of the suite with every Python from 3.11 on that this machine has, and with the next Django.
matrix: $(INSTALLED)
	@$(BIN)/python -m tests.matrix

# Write the pinned requirements, with their hashes, from pyproject.toml. UPGRADE= changes what that asks only.
UPGRADE := --upgrade
COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --custom-compile-command "make pins" $(UPGRADE)
pins: $(INSTALLED)
	$(COMPILE) --python-version 3.11 pyproject.toml -o requirements.txt
	$(COMPILE) --python-version 3.11 pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt
	$(COMPILE) --python-version 3.11 --group emulator -c requirements.txt -o requirements-emulator.txt
	$(COMPILE) --python-version 3.12 --no-deps --group next -o requirements-next.txt

# The image of a release: make image BASE_IMAGE=python:3.11-slim@sha256:...
# What the tag means today: docker buildx imagetools inspect python:3.11-slim --format '{{.Manifest.Digest}}'
image:
	@echo "$(BASE_IMAGE)" | grep -qE '^[^@ ]+@sha256:[0-9a-f]{64}$$' || { \
		echo "BASE_IMAGE must name the base image by digest, such as python:3.11-slim@sha256:...; docker buildx"; \
		echo "imagetools inspect python:3.11-slim --format '{{.Manifest.Digest}}' tells that of today."; exit 1; }
	docker build --build-arg "BASE_IMAGE=$(BASE_IMAGE)" --build-arg "REVISION=$$(git rev-parse HEAD)" \
		--build-arg "VERSION=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)" -t sandkeeper .

# Everything that `make run` and `make test` made, the data included.
clean:
	rm -rf $(VENV) .env var .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* convex/node_modules \
		clients/typescript/node_modules clients/typescript/dist

.PHONY: ready python
ready: python
	@$(PYTHON) -m project.ports

python:
	@test -n "$(PYTHON)" || { echo "Sandkeeper needs Python 3.11 or newer; install it or set PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c "" 2>/dev/null || { echo "PYTHON=$(PYTHON) does not run; set PYTHON=/path/to/python3.11"; exit 1; }

$(INSTALLED): requirements-dev.txt | python
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "venv is missing from this Python; on Debian: apt install python3-venv"; exit 1; }
	@echo "Installing the pinned requirements into $(VENV) ..."
	@sed -n '/^uv==/,/^[^ ]/{/^uv==\|^ *--hash/p}' requirements-dev.txt > $(VENV)/uv.txt
	@{ $(BIN)/python -m pip install --quiet --require-hashes -r $(VENV)/uv.txt && \
		$(BIN)/uv pip install --quiet --require-hashes --python $(BIN)/python -r requirements-dev.txt; } >$(VENV)/install.log 2>&1 || \
		$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.txt >>$(VENV)/install.log 2>&1 || \
		{ echo "The packages could not be installed (all of it: $(VENV)/install.log): $$(tail -n 1 $(VENV)/install.log)"; \
		echo "With a mirror set PIP_INDEX_URL and UV_DEFAULT_INDEX, behind a private authority SSL_CERT_FILE and PIP_CERT to its file."; exit 1; }
	@touch $@
