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
exec bash "$(dirname -- "$script")/migrations/run.sh" new_app/add_app.py "$@"
