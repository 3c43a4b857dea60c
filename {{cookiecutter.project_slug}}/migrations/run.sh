#!/usr/bin/env bash
# Runs the project's Python in the folder of alembic.ini, for the scripts in it.
set -eu

export MIGRATIONS_CALLED_FROM=$PWD # where `-c FILE` is
# Not with -P: in examples/, this folder is a link.
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

unset PYTHONSAFEPATH # with it, -m would not look into this folder

for python in "${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/python}" "${VIRTUAL_ENV:+$VIRTUAL_ENV/Scripts/python.exe}" \
  .venv/bin/python .venv/Scripts/python.exe "$(command -v python3)" "$(command -v python)"; do
  if [ -n "$python" ] && [ -x "$python" ]; then
    exec "$python" "$@"
  fi
done
echo "Python is not installed: this needs version 3.11 or later" >&2
exit 1
