#!/usr/bin/env bash
# Generates the default project, its first revisions, and migrates: ./try.sh [FOLDER]
set -eu

template=$(CDPATH='' cd -P -- "$(dirname -- "$0")" && pwd)
folder=${1:-try}
project=$folder/my_project
if [ -e "$project" ]; then
  echo "$project exists already: remove it, or name another folder" >&2
  exit 1
fi
mkdir -p "$folder"
"$template/venv.sh" "$folder/.venv" cookiecutter
"$folder/.venv/bin/cookiecutter" --no-input --output-dir "$folder" "$template"
"$template/venv.sh" "$project/.venv" --editable "$project"

say() { printf '\n$ %s\n' "$*" && "$@"; }
cd -- "$project"
say ./generate.sh
say ./migrate.sh
say .venv/bin/python -m migrations status
printf '\nTables of %s:\n' *.db
.venv/bin/python -c '
import sqlite3, sys
for (name,) in sqlite3.connect(sys.argv[1]).execute("select name from sqlite_schema where type = ? order by name", ["table"]):
    print(" ", name)
' ./*.db
