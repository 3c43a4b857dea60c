#!/usr/bin/env bash
# Writes a new revision for every app whose models changed:
#   ./generate.sh [-m MESSAGE] [-c INI] [-x KEY=VALUE] [APP ...]
set -eu

script=${BASH_SOURCE[0]}
while [ -L "$script" ]; do
  link=$(readlink "$script")
  case $link in
  /*) script=$link ;;
  *) script=$(dirname -- "$script")/$link ;;
  esac
done
exec bash "$(dirname -- "$script")/migrations/run.sh" -m migrations generate "$@"
