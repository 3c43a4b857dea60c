"""What not every project needs: a file for each command or guard, found by its name.

Each can be deleted, and so can the folder. But adopt, remove and squash import others, such as
precautions.py and empty_databases.py: delete what imports a file with it. Lost with the folder:
the commands adopt, remove, squash, graph and installed; the note of what is half done on MySQL;
the warnings of `generate`, and its refusal to write into an installed package; the formatting of
new revisions with ruff; the version tables without a section in `status`.
See commands/__init__.py for how a module takes part.
"""
