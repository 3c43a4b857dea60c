#!/usr/bin/env bash
# Compares the speed of a generated project with Django and a shell loop: ./benchmarks/run.sh [OPTIONS]
# Measures a project with many tenants: ./benchmarks/run.sh tenants [OPTIONS]
set -eu

cd -- "$(dirname -- "$0")/.."
UV_COMPILE_BYTECODE=1 ./venv.sh .venv-bench --group bench
./venv.sh .venv-plot --group plot
script=run
if [ "${1-}" = tenants ]; then
  script=many_tenants
  shift
fi
exec .venv-plot/bin/python "benchmarks/$script.py" "$@"
