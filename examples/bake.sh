#!/usr/bin/env bash
# Bakes examples/my_project again from the template, and keeps its revisions.
set -eu

cd -- "$(dirname -- "$0")/.."
new=$(mktemp -d)
trap 'rm -rf -- "$new"' EXIT
# From a copy outside git, so that its README names no commit, which would differ every time.
mkdir "$new/template"
cp -R -- cookiecutter.json hooks local_extensions.py '{{cookiecutter.project_slug}}' "$new/template"
.venv/bin/cookiecutter --no-input --default-config --output-dir "$new" "$new/template"
for revision in examples/my_project/src/my_project/*/migrations/[0-9]*.py; do
  [ ! -e "$revision" ] || cp -- "$revision" "$new/${revision#examples/}"
done
# Link to the template's folder, which has no Jinja in it, instead of keeping a second copy.
rm -r -- "$new/my_project/migrations"
ln -s '../../{{cookiecutter.project_slug}}/migrations' "$new/my_project/migrations"
rm -rf examples/my_project
mv -- "$new/my_project" examples/
