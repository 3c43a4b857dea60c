#!/usr/bin/env bash
# Compares the speed of a generated project with Django and a shell loop: ./benchmarks/run.sh [OPTIONS]
set -eu

cd -- "$(dirname -- "$0")/.."
UV_COMPILE_BYTECODE=1 ./venv.sh .venv-bench --group bench
./venv.sh .venv-plot --group plot
exec .venv-plot/bin/python benchmarks/run.py "$@"
