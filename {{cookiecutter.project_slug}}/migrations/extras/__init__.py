"""Commands and guards that not every project needs, each in a file of its own.

You can delete the folder, or single files together with the files that import them. Without the
folder you lose:

- the commands adopt, remove, squash and graph;
- the option --sql of migrate; `alembic --name APP upgrade ID:head --sql` prints one app's SQL after
  the revision ID;
- the lock for Galera, and for databases that locks.py does not know, which are then refused;
- the URL that is in use, in the `config` of revisions;
- async drivers, which are then refused;
- migrating without importing the models, which is faster;
- tenants: a project that names some is refused;
- the advice after an error, and warnings in one line;
- the guards for revisions that commit or roll back by themselves, and the note about half-done
  migrations on MySQL;
- the warnings and refusals of `generate`, and the formatting of new revisions with ruff;
- the requirements that `generate` writes where a table or column is moved, renamed or dropped that
  revisions of another app use; those for new foreign keys stay;
- the version tables without a section in the output of `status`;
- a clean exit on SIGTERM, and migrations that go on when `| head` ends their output.

See commands/__init__.py for how a module takes part.
"""
