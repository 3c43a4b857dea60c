#!/usr/bin/env bash
# Installs what the tests need, and runs them: ./test.sh [PYTEST-ARGUMENTS]
set -eu

cd -- "$(dirname -- "$0")"
bash venv.sh .venv-newest --group newest &
newest=$!
bash venv.sh .venv-oldest --group oldest &
oldest=$!
bash venv.sh .venv --group dev
wait "$newest"
wait "$oldest"
exec .venv/bin/python -m pytest "$@"
