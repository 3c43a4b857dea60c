"""Tell revisions which URL is in use, because it may come from the environment or a caller."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from alembic.runtime.migration import MigrationContext

from ..apps import App


@contextmanager
def guard(migration: MigrationContext, app: App) -> Iterator[None]:
    """Set `sqlalchemy.url` of `op.get_context().config` while revisions run."""
    config, connection, key = migration.config, migration.connection, "sqlalchemy.url"
    assert config is not None
    assert connection is not None
    url = connection.engine.url if config.attributes.get("connection") else app.url
    parser, section = config.file_config, config.config_ini_section
    before = parser.get(section, key, raw=True, fallback="")
    own = parser.remove_option(section, key)  # False if only [DEFAULT] has it
    config.set_main_option(key, url.render_as_string(hide_password=False).replace("%", "%%"))
    try:
        yield
    finally:
        parser.remove_option(section, key)
        if own:
            with suppress(ValueError):  # it has a lone percent sign; another URL was used
                config.set_section_option(section, key, before)
