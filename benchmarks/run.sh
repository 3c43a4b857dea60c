#!/usr/bin/env bash
# Measures the template's project beside Django and a shell loop: ./benchmarks/run.sh [OPTIONS]
# Measures it with many tenants: ./benchmarks/run.sh tenants [OPTIONS]
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
