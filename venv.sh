#!/usr/bin/env bash
# Makes a virtual environment and installs into it: ./venv.sh FOLDER PIP-ARGUMENTS...
set -eu

folder=$1
shift
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
  "$python" -m venv "$folder"
  "$folder/bin/python" -m pip install -qq --disable-pip-version-check --upgrade 'pip>=25.1'
fi
"$folder/bin/python" -m pip install -qq --disable-pip-version-check "$@"
