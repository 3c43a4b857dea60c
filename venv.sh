#!/usr/bin/env bash
# Creates a virtual environment and installs packages into it: ./venv.sh FOLDER PIP-ARGUMENTS...
# It uses uv if the tests' environment has it, and then takes a quarter of the time.
set -eu

folder=$1
shift
uv=$(dirname -- "$0")/.venv/bin/uv
find_python() {
  for python in python3 python3.14 python3.13 python3.12 python3.11 python; do
    if "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$python"
      return
    fi
  done
  echo "Python 3.11 or later with the venv module is missing; install both" >&2
  return 1
}
if ! [ -x "$folder/bin/python" ]; then
  python=$(find_python)
  if [ -x "$uv" ]; then
    "$uv" venv --quiet --seed --python "$(command -v "$python")" "$folder"
  else
    "$python" -m venv "$folder"
  fi
fi
if [ -x "$uv" ]; then
  exec "$uv" pip install --quiet --python "$folder/bin/python" "$@"
fi
pip() { "$folder/bin/python" -m pip install -qq --disable-pip-version-check "$@"; }
case " $* " in *" --group "*) pip 'pip>=25.1' ;; esac
pip "$@"
