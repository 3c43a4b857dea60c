#!/usr/bin/env bash
# Adds apps: new packages with a section of alembic.ini each, or apps of installed packages.
#   ./add_app.sh [-c INI] NAME ...
#   ./add_app.sh --installed [-c INI] [NAME ...]
set -eu

script=${BASH_SOURCE[0]}
while [ -L "$script" ]; do
  link=$(readlink "$script")
  case $link in
  /*) script=$link ;;
  *) script=$(dirname -- "$script")/$link ;;
  esac
done
run=$(dirname -- "$script")/migrations/run.sh
if [ "${1-}" = --installed ]; then
  shift
  exec bash "$run" -m migrations installed "$@"
fi
exec bash "$run" new_app/add_app.py "$@"
