"""What `python -m migrations` can do: a file for each command, named like it."""
