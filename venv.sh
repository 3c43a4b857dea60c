#!/usr/bin/env bash
# Makes a virtual environment and installs into it: ./venv.sh FOLDER PIP-ARGUMENTS...
# With the uv of the tests' environment, if that is there: it takes a quarter of the time.
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
  echo "Python 3.11 or later is not installed, or lacks its venv module" >&2
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
