#!/usr/bin/env bash
# Makes examples/my_project anew from the template; its revisions stay.
set -eu

cd -- "$(dirname -- "$0")/.."
new=$(mktemp -d)
trap 'rm -rf -- "$new"' EXIT
.venv/bin/cookiecutter --no-input --default-config --output-dir "$new" .
for revision in examples/my_project/src/my_project/*/migrations/[0-9]*.py; do
  [ ! -e "$revision" ] || cp -- "$revision" "$new/${revision#examples/}"
done
rm -rf examples/my_project
mv -- "$new/my_project" examples/
