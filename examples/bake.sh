#!/usr/bin/env bash
# Makes examples/my_project again from the template; its revisions stay.
set -eu

cd -- "$(dirname -- "$0")/.."
new=$(mktemp -d)
trap 'rm -rf -- "$new"' EXIT
# From a copy that git does not know: the commit would make every change of this a conflict.
mkdir "$new/template"
cp -R -- cookiecutter.json hooks local_extensions.py '{{cookiecutter.project_slug}}' "$new/template"
.venv/bin/cookiecutter --no-input --default-config --output-dir "$new" "$new/template"
for revision in examples/my_project/src/my_project/*/migrations/[0-9]*.py; do
  [ ! -e "$revision" ] || cp -- "$revision" "$new/${revision#examples/}"
done
# The template's own folder, and no second copy: there is no Jinja in it.
rm -r -- "$new/my_project/migrations"
ln -s '../../{{cookiecutter.project_slug}}/migrations' "$new/my_project/migrations"
rm -rf examples/my_project
mv -- "$new/my_project" examples/
