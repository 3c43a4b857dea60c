#!/usr/bin/env bash
# Installs what the tests need, and runs them: ./test.sh [PYTEST-ARGUMENTS]
set -eu

cd -- "$(dirname -- "$0")"
./venv.sh .venv --group dev
./venv.sh .venv-newest --group newest
./venv.sh .venv-oldest --group oldest
exec .venv/bin/python -m pytest "$@"
