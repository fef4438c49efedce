PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
INTEROP := .venv-interop
INTEROP_STAMP := $(INTEROP)/.installed

.PHONY: install test test-interop lint demo lock clean

install: $(STAMP)

# A lock holds every version and hash; the package itself is linked in place. The second one has TensorFlow and Beam
# too, which hold some versions back, and which nothing but tests/interop needs.
$(STAMP): requirements.lock
$(INTEROP_STAMP): requirements-interop.lock
$(STAMP) $(INTEROP_STAMP): setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Python 3.11 to 3.13 is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r $(filter %.lock,$^)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest

test-interop: $(INTEROP_STAMP)
	$(INTEROP)/bin/pytest tests/interop

demo: install
	$(BIN)/python experiments/demo.py

# Regenerates both locks for every supported Python (environment markers tell them apart).
UV_COMPILE = build/lock/bin/uv pip compile --quiet --universal --generate-hashes --upgrade --python-version 3.11 \
	--custom-compile-command "make lock" --extra dev

lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet uv
	$(UV_COMPILE) setup.cfg -o requirements.lock
	$(UV_COMPILE) --extra beam --extra interop setup.cfg -o requirements-interop.lock

clean:
	rm -rf $(VENV) $(INTEROP) build *.egg-info
