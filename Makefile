PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# As lmpt does: OpenMP's threads do not spin long on cores that another process wants.
ifndef OMP_WAIT_POLICY
export GOMP_SPINCOUNT ?= 1000
endif

.PHONY: demo test test-browser lab clean

demo: $(VENV)/installed
	$(BIN)/lmpt demo

test: $(VENV)/installed-test
	$(BIN)/ruff check lmptlib tests data/emoji
	$(BIN)/ruff format --check lmptlib tests data/emoji
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m pytest

test-browser: $(VENV)/installed-test  # every notebook in JupyterLab; Chromium must be there
	$(BIN)/python -m pytest tests/browser -m 'every_notebook or not every_notebook'

lab: $(VENV)/installed
	$(BIN)/jupyter lab --LabApp.news_url=None --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate notebooks/00_start_here.ipynb

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	@echo "Installing lmptlib and what it needs (PyTorch is several GB: a few minutes) ..."
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[notebooks,paper,cluster]'
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) outputs data/emoji-lt data/emoji-single-lt data/emoji-pool data/cache
