#!/usr/bin/env bash
# Creates the default project, generates its first revisions and migrates: ./try.sh [FOLDER]
set -eu

template=$(CDPATH='' cd -P -- "$(dirname -- "$0")" && pwd)
folder=${1:-try}
project=$folder/my_project
if [ -e "$project" ]; then
  echo "$project exists already; remove it, or name another folder" >&2
  exit 1
fi
mkdir -p "$folder"
echo "Installing cookiecutter, then the new project with what it needs ..."
bash "$template/venv.sh" "$folder/.venv" cookiecutter
"$folder/.venv/bin/cookiecutter" --no-input --output-dir "$folder" "$template"
bash "$template/venv.sh" "$project/.venv" --editable "${project}[dev]"

say() { printf '\n+ %s\n' "$*" && "$@"; }
cd -- "$project"
say ./generate.sh
say ./migrate.sh
say .venv/bin/python -m migrations status
.venv/bin/python - <<'PYTHON'

import sqlite3

tables = sqlite3.connect("my_project.db").execute(
    "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
)
print("\nTables in my_project.db:", *(name for (name,) in tables))
PYTHON
