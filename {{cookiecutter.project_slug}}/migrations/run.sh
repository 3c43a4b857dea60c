#!/usr/bin/env bash
# Runs the project's Python in the folder of alembic.ini. The scripts in that folder call it.
set -eu

export MIGRATIONS_CALLED_FROM=$PWD # `-c FILE` is relative to it
# Without -P, because in examples/ this folder is a symbolic link.
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

unset PYTHONSAFEPATH # if it is set, -m finds no modules in this folder

for python in "${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/python}" "${VIRTUAL_ENV:+$VIRTUAL_ENV/Scripts/python.exe}" \
  .venv/bin/python .venv/Scripts/python.exe "$(command -v python3)" "$(command -v python)"; do
  if [ -n "$python" ] && [ -x "$python" ]; then
    exec "$python" "$@"
  fi
done
echo "Python is not installed; install version 3.11 or later" >&2
exit 1
