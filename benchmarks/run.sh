#!/usr/bin/env bash
# Measures the template's project beside Django and a shell loop: ./benchmarks/run.sh [OPTIONS]
set -eu

cd -- "$(dirname -- "$0")/.."
./venv.sh .venv-bench --group bench
exec .venv-bench/bin/python benchmarks/run.py "$@"
