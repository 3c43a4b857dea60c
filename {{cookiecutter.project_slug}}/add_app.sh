#!/usr/bin/env bash
# A new app, its package and its section of alembic.ini; or one of an installed package:
#   ./add_app.sh NAME ...
#   ./add_app.sh --installed [NAME ...]
set -eu

script=${BASH_SOURCE[0]}
while [ -L "$script" ]; do
  link=$(readlink "$script")
  case $link in
  /*) script=$link ;;
  *) script=$(dirname -- "$script")/$link ;;
  esac
done
exec "$(dirname -- "$script")/migrations/run.sh" migrations/add_app.py "$@"
