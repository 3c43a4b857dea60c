"""The migrations of every app: one head, up, down and up again, and models that match.

New apps are found in alembic.ini. The databases are new SQLite files unless DATABASE_URL is
set; then that database is used, and must be empty.
"""
