PYTHON ?= python3
# EXTRA=tpu or EXTRA=interop creates and uses another environment, .venv-EXTRA. They are separate because libtpu prints
# warnings where there is no TPU, and TensorFlow and Beam require older versions of some packages.
EXTRA ?=
VENV := .venv$(EXTRA:%=-%)
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SIZES := 12m 25m 42m 85m 300m 679m 2.5b 12b
TRAIN := $(SIZES:%=train-%)
PLAN := $(SIZES:%=plan-%)

.PHONY: install help test test-interop lint demo demo-paper $(TRAIN) $(PLAN) lock clean

## make install        creates .venv from requirements.lock; EXTRA=tpu creates .venv-tpu, for TPU VMs and for planning
install: $(STAMP)

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

# A lock file has the version and hash of every dependency, so pip looks for no others. The package itself is installed
# in place.
.venv/.installed: requirements.lock
.venv-tpu/.installed: requirements-tpu.lock
.venv-interop/.installed: requirements-interop.lock
.venv/.installed .venv-tpu/.installed .venv-interop/.installed: setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Python 3.11 to 3.13 is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r $(filter %.lock,$^)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/mypy

## make test           runs lint and the tests that are not slow; .ci/run runs all
test: lint
	$(BIN)/pytest --numprocesses auto --dist loadfile

## make test-interop   runs the tests that need TensorFlow, Beam and EvalPlus (.venv-interop) or libtpu (.venv-tpu);
##                     MBPP_FILE=mbpp.jsonl compares verdicts on MBPP's problems, too
test-interop: .venv-interop/.installed .venv-tpu/.installed
	.venv-interop/bin/pytest tests/interop
	JAX_PLATFORMS=cpu .venv-tpu/bin/pytest tests/planning

## make demo           trains, fine-tunes, samples, scores and plots a small model on a CPU
demo: install
	$(BIN)/python experiments/demo.py

## make demo-paper     after make demo: a model that writes docstrings, graded, and ranking by back-translation
demo-paper: install
	$(BIN)/python experiments/demo_paper.py

## make train-SIZE     pretrains 12m, 25m, 42m, 85m, 300m, 679m, 2.5b or 12b (experiments/codex.py);
##                     DATA=DIR/NAME RUN=DIR ARGS="--steps 10 --resume ..." EXTRA=tpu
$(TRAIN): train-%: install
	$(BIN)/python -m codex_jax.train experiments/codex.py:$* $(DATA:%=--data.path %) $(RUN:%=--run-dir %) $(ARGS)

## make plan-SIZE      compiles the training step for a TPU slice, without one; TOPOLOGY=v5e:16x16 ARGS="--search"
$(PLAN): plan-%: .venv-tpu/.installed
	.venv-tpu/bin/python -m codex_jax.plan experiments/codex.py:$* $(TOPOLOGY:%=--topology %) $(ARGS)

# Each lock covers every supported Python, by environment markers.
UV_COMPILE = build/lock/bin/uv pip compile --quiet --universal --generate-hashes --upgrade --python-version 3.11 \
	--custom-compile-command "make lock" --extra dev --extra serve

# EvalPlus requires these for models and downloads, which the tests do without.
UNUSED = anthropic appdirs datasets google-generativeai multipledispatch stop-sequencer tempdir transformers tree-sitter \
	tree-sitter-python wget

## make lock           the newest versions that setup.cfg allows, into all locks
lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet uv
	$(UV_COMPILE) setup.cfg -o requirements.lock
	$(UV_COMPILE) --extra tpu setup.cfg -o requirements-tpu.lock
	printf '%s\n' $(UNUSED) > build/lock/unused.txt
	$(UV_COMPILE) --extra beam --extra interop --excludes build/lock/unused.txt setup.cfg -o requirements-interop.lock

clean:
	rm -rf .venv .venv-tpu .venv-interop build *.egg-info
