# Every target sets up .venv by itself, once; a change of pyproject.toml or of the constraints sets it up again.

BIN := .venv/bin
SET_UP := .venv/.set-up
SET_UP_BENCH := .venv/.set-up-bench
WHAT_SETS_UP := pyproject.toml requirements/constraints.txt scripts/set-up
PYTEST_ARGS ?= -q -n 2 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help set-up demo demo-tagger demo-translation test check format tables bench clean distclean

help:  ## list the targets
	@echo "make TARGET, where TARGET is one of"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

set-up: $(SET_UP)  ## make .venv, and nothing else (the targets below do so when they need it)

demo: $(SET_UP)  ## distil a transformer that reads tweets, and show what was kept
	@$(BIN)/limbeck distill examples/demo.yaml

demo-tagger: $(SET_UP)  ## the same for a tagger: entities in tweets
	@$(BIN)/limbeck distill examples/tagger.yaml

demo-translation: $(SET_UP)  ## the same for a translator: a program's messages, English to French
	@$(BIN)/limbeck distill examples/translation.yaml

# One thread a worker: two workers on two cores, and sums in the same order everywhere. No test asks the network.
test: $(SET_UP)  ## run the tests (PYTEST_ARGS='-m slow' for the long ones)
	@OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 $(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(SET_UP)  ## style, types, and who may import whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(SET_UP)  ## mend what ruff can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

tables: $(SET_UP)  ## write the README's tables from benchmarks/results
	@$(BIN)/python benchmarks/tables.py

bench: $(SET_UP_BENCH)  ## run the benchmarks anew (hours), then the tables
	@$(BIN)/python benchmarks/sentiment.py
	@$(BIN)/python benchmarks/throughput.py
	@$(BIN)/python benchmarks/augmentation.py
	@$(BIN)/python benchmarks/classifiers.py
	@$(BIN)/python benchmarks/transfer_text.py
	@$(BIN)/python benchmarks/methods.py
	@$(BIN)/python benchmarks/chain_speed.py
	@$(BIN)/python benchmarks/taggers.py
	@$(BIN)/python benchmarks/tinybert.py
	@$(BIN)/python benchmarks/tinybert_ablations.py
	@$(BIN)/python benchmarks/probing.py
	@$(BIN)/python benchmarks/mistakes.py
	@$(BIN)/python benchmarks/modes.py
	@$(BIN)/python benchmarks/decoding.py
	@$(BIN)/python benchmarks/capacity.py
	@$(BIN)/python benchmarks/translation_speed.py
	@$(BIN)/python benchmarks/parallel_students.py
	@$(BIN)/python benchmarks/parallel_capacity.py
	@test -z "$$LIMBECK_FAIRSEQ" || $(BIN)/python benchmarks/against_fairseq.py
	@$(BIN)/python benchmarks/tables.py

clean:  ## remove caches and build files; keep .venv and runs
	@rm -rf build dist src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find src tests benchmarks -type d -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean  ## remove .venv as well
	@rm -rf .venv

$(SET_UP): $(WHAT_SETS_UP)
	@PYTHON="$(PYTHON)" STAMP=$@ sh scripts/set-up

# The benchmarks' opponents come on top of the rest.
$(SET_UP_BENCH): $(SET_UP)
	@PYTHON="$(PYTHON)" STAMP=$@ EXTRAS=bench,demo,dev,trackers sh scripts/set-up
