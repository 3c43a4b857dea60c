#!/usr/bin/env bash
# Upgrades every app to its newest revision:
#   ./migrate.sh [--sql] [-c INI] [-x KEY=VALUE] [APP ...]
set -eu

script=${BASH_SOURCE[0]}
while [ -L "$script" ]; do
  link=$(readlink "$script")
  case $link in
  /*) script=$link ;;
  *) script=$(dirname -- "$script")/$link ;;
  esac
done
exec bash "$(dirname -- "$script")/migrations/run.sh" -m migrations migrate "$@"
