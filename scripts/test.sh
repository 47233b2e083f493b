#!/bin/sh
# Check the whole project: style, types, tests with coverage, and the documentation.
set -eu
cd "$(dirname "$0")/.."
. scripts/environment.sh

environment .venv-test dev,experiments,docs,ray

# The tests run in several processes: one thread each keeps them from fighting for the cores.
OMP_NUM_THREADS=1
export OMP_NUM_THREADS

step "Style"
run "$python" -m ruff check .
run "$python" -m ruff format --check .

step "Types"
run "$python" -m mypy

step "Tests"
run "$python" -m pytest --numprocesses auto --maxprocesses 4 --cov --cov-report term

step "Documentation"
run env NO_MKDOCS_2_WARNING=1 "$python" -m mkdocs build --strict

step "All checks passed"
