"""What not every project needs: a file for each command or guard, found by its name.

The folder can be deleted, and so can each file; delete with it the files that import it. This is
lost with the folder:

- the commands adopt, remove, squash, graph and installed;
- the advice behind an error, and warnings in one line;
- the guards of revisions that commit or roll back by themselves, and the note of what is half
  done on MySQL;
- the check of a target for every app before the first one moves;
- what `generate` warns of and refuses, and the formatting of new revisions with ruff;
- the version tables without a section in `status`;
- SIGTERM as a Ctrl-C, and output that may be cut off by `| head`.

See commands/__init__.py for how a module takes part.
"""
