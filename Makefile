# make train   train the quadruped            make test   all tests
# make lint    formatters and checkers        make build  compiled library only
# make test-matrix  the tests that depend on rounding, at every SIMD level, thread count, and on busy cores (docs/testing.md)
# make wheel   dist/*.whl                     make wheel-test  the wheel in fresh environments (BESIDE=venv: its torch)
# Each does its own set-up in .venv; a second call rebuilds only what changed.
# CUDA sources are compiled where nvcc is found; RSLCORE_CUDA=OFF leaves them out.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Waiting threads sleep instead of spinning: kinder to cores that are shared.
export OMP_WAIT_POLICY ?= passive

NATIVE := CMakeLists.txt pyproject.toml $(shell find csrc cmake -type f)
CPP := $(shell find csrc tests -name '*.h' -o -name '*.cpp' -o -name '*.cu')
ARGS ?=

.PHONY: train test test-matrix lint build wheel wheel-test clean FORCE
.DELETE_ON_ERROR:
.NOTPARALLEL:

train: build
	$(BIN)/rslcore train $(ARGS)

test: build $(STAMPS)/test
	$(BIN)/python -m pytest $(ARGS)

test-matrix: build $(STAMPS)/test
	$(BIN)/python tests/matrix.py $(ARGS)

lint: $(STAMPS)/train $(STAMPS)/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(CPP)
	$(BIN)/mypy

build: $(STAMPS)/build

# torch is not in it: the libraries bind to the one that is installed where the wheel is.
wheel: $(STAMPS)/train $(STAMPS)/wheel
	@rm -rf build/wheel dist/rslcore-*.whl
	@$(BIN)/pip wheel --quiet --no-build-isolation --no-deps --wheel-dir build/wheel .
	@$(BIN)/auditwheel repair --exclude 'libtorch*.so' --wheel-dir dist build/wheel/rslcore-*.whl
	@ls -l dist/rslcore-*.whl

wheel-test: wheel $(STAMPS)/test
	RSLCORE_WHEEL="$$(ls dist/rslcore-*.whl)" RSLCORE_WHEEL_BESIDE="$(BESIDE)" $(BIN)/python -m pytest tests/wheel $(ARGS)

$(STAMPS)/build: $(STAMPS)/train $(STAMPS)/options $(NATIVE)
	@echo "== Building rslcore (half a minute the first time; with nvcc at hand the CUDA kernels too)"
	@$(BIN)/pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

# Changes when the options of the build do, or which nvcc there is.
OPTIONS := $(RSLCORE_CUDA) $(RSLCORE_WERROR) $(shell command -v nvcc)
$(STAMPS)/options: $(STAMPS)/venv FORCE
	@echo '$(OPTIONS)' | cmp -s - $@ || echo '$(OPTIONS)' >$@
FORCE:

# torch first and by itself: pinned, so that no other package asks for a build of several gigabytes.
$(STAMPS)/venv: requirements/torch.txt requirements/constraints.txt
	@echo "== Installing torch into $(VENV) (a minute or so)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "rslcore needs Python 3.10 or newer: make PYTHON=python3.x")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@mkdir -p $(STAMPS)
	@$(BIN)/pip install --quiet --requirement requirements/torch.txt
	@touch $@

$(STAMPS)/%: requirements/%.txt requirements/constraints.txt $(STAMPS)/venv
	@echo "== Installing what \`make $*\` needs"
	@$(BIN)/pip install --quiet --requirement $<
	@touch $@

clean:
	rm -rf build dist $(STAMPS)/build
