#!/usr/bin/env bash
# Installs what the tests need and runs them: ./test.sh [PYTEST-ARGUMENTS]
set -eu

cd -- "$(dirname -- "$0")"
bash venv.sh .venv 'uv>=0.7'
export UV_COMPILE_BYTECODE=1
bash venv.sh .venv --group dev
bash venv.sh .venv-newest --group newest
bash venv.sh .venv-oldest --group oldest
unset UV_COMPILE_BYTECODE
exec .venv/bin/python -m pytest "$@"
