# Short names for what contributors do; each line can be typed by hand as well.

.PHONY: try test soak bench check fix example

try:
	./try.sh

test:
	./test.sh

# Many migrators at once, and killed ones, on every database: takes hours.
soak:
	.venv/bin/python tests/soak.py

bench:
	./benchmarks/run.sh

# Reads only.
check:
	.venv/bin/ruff check --config pyproject.toml .
	.venv/bin/ruff format --config pyproject.toml --check .
	.venv/bin/shfmt -i 2 -d *.sh benchmarks/*.sh examples/*.sh .ci/run '{{cookiecutter.project_slug}}'
	.venv/bin/shellcheck -x *.sh benchmarks/*.sh examples/*.sh .ci/run '{{cookiecutter.project_slug}}'/*.sh
	.venv/bin/mypy tests benchmarks hatch_build.py local_extensions.py
	.venv/bin/mypy -p migrations -p new_app

fix:
	.venv/bin/ruff check --config pyproject.toml --fix .
	.venv/bin/ruff format --config pyproject.toml .
	.venv/bin/shfmt -i 2 -w *.sh benchmarks/*.sh examples/*.sh .ci/run '{{cookiecutter.project_slug}}'

# Brings examples/my_project up to date with the template.
example:
	examples/bake.sh
