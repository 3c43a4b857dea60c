"""What Alembic's autogenerate leaves out or gets wrong, and what is made of what it finds."""
