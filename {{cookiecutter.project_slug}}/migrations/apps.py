"""The apps: the sections of alembic.ini that set `metadata`."""

import configparser
import importlib
import os
import pkgutil
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import combinations
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from alembic.config import Config
from alembic.util import CommandError, coerce_resource_to_filename
from sqlalchemy import URL, MetaData, Table, make_url
from sqlalchemy.exc import ArgumentError

from .commands import needed_hook
from .errors import explain, explain_ini, failing_line, naming, relative

TableKey = tuple[str | None, str]
"""A table's schema (None: the database's default) and name."""

NO_MODELS = ("__main__", "conftest", "tests", "test_*")
"""Name patterns of modules that are not imported to find the models of a package."""

AT_IN_PASSWORD = re.compile(r"[^:]+://[^:/]*:[^@]*@[^?]*@")
"""A URL with an unquoted @ in its password: SQLAlchemy would read the rest of it as the host."""


@dataclass(frozen=True, eq=False, repr=False)
class App:
    """A package of models with its own migration history: a section of alembic.ini.

    The URL, models and folders are read on first use, so that a mistake in one app does not stop
    the others. They raise a CommandError that names the app.
    """

    name: str
    ini: str
    """The name of the file with the section, usually alembic.ini."""
    models: str
    """`module:attribute` of the app's MetaData, the section's `metadata`."""
    version_locations: tuple[str, ...]
    version_table: str
    version_table_schema: str | None
    tables: tuple[str, ...]
    """Name patterns of the app's own tables. If empty, it has all tables of its MetaData."""
    lock_timeout: float
    """How many seconds to wait for another migrator."""
    url_text: str
    url_source: str
    """Where the URL was found, for messages: an environment variable or a section."""
    tenants: str
    """The section's `tenants`. Empty if the app has none, or is bound to one of them."""
    section: configparser.SectionProxy
    """The section, for keys that are read where they are needed."""
    apps: "dict[str, App]"
    """All apps of the file, by name."""

    @cached_property
    def url(self) -> URL:
        """The URL of the app's database. Raises CommandError if the app has tenants."""
        if self.tenants:
            raise CommandError(
                f"{self.name}: has tenants; name one: --tenant NAME, or alembic -x tenant=NAME"
            )
        return self._parsed_url

    @cached_property
    def _parsed_url(self) -> URL:
        if not self.url_text:
            raise CommandError(
                f"{self.name}: no database URL; set DATABASE_URL or {url_variable(self.name)}"
                f" in the environment, or sqlalchemy.url in [{self.name}] of {self.ini}"
            )
        with suppress(ArgumentError, ValueError):
            url = make_url(self.url_text)
            named = url.database or url.get_backend_name() not in ("mysql", "mariadb")
            if named and not AT_IN_PASSWORD.match(self.url_text):
                return url
        # The URL and SQLAlchemy's error contain the password, so they are not shown.
        raise CommandError(
            f"{self.name}: {self.url_source} is not a database URL"
            " like postgresql+psycopg://user:password@host/name"
            " (in a password, write @ : / % as %40 %3A %2F %25)"
        )

    @cached_property
    def database(self) -> tuple[str, ...]:
        """Identifies the database by backend, host, port and name, without user and driver."""
        url = self._parsed_url
        backend = url.get_backend_name().replace("mariadb", "mysql")
        if backend == "sqlite":
            return (backend, str(Path(url.database or "").resolve()))
        # Drivers prefer what the options of the URL say.
        found = {**url.translate_connect_args(), **url.query}
        host = str(found.get("unix_socket") or found.get("host") or "")
        port = found.get("port") or {"postgresql": 5432, "mysql": 3306}.get(backend)
        name = found.get("dbname") or found.get("db") or found.get("database") or ""
        where = "localhost" if host in ("", "127.0.0.1", "::1") else host
        return (backend, where, str(port), str(found.get("service", "")), str(name))

    @cached_property
    def neighbours(self) -> tuple["App", ...]:
        """All apps of the same database, including this one."""
        near = [it for it in self.apps.values() if it.tenants == self.tenants]
        return tuple(it for it in near if it.database == self.database)

    @property
    def schema(self) -> str | None:
        """The default schema, if the URL names it: its search_path, or on MySQL its database."""
        if self.database[0] == "postgresql":
            return search_path(self._parsed_url)
        return self.database[-1] if self.database[0] == "mysql" else None

    @cached_property
    def folders(self) -> tuple[Path, ...]:
        """The folders of the app's revisions. A missing one is an error; Alembic ignores it."""
        found: list[Path] = []
        with suppress(ModuleNotFoundError):  # the package in `package:folder` is not installed
            found += [Path(coerce_resource_to_filename(it)) for it in self.version_locations]
        if not found or not all(map(Path.is_dir, found)):
            given = ", ".join(map(relative, self.version_locations))
            raise CommandError(
                f"{self.name}: no folder at version_locations = {given}; correct it in"
                f" [{self.name}] of {self.ini}, or install its package"
            )
        return tuple(folder.resolve() for folder in found)

    @cached_property
    def metadata(self) -> MetaData:
        """The app's MetaData. If its module is a package, its submodules are imported first.

        A missing model would become a DROP TABLE, so a failed import raises CommandError.
        """
        self._import_submodules(self.load(self.models.partition(":")[0], "metadata"))
        metadata = self.load(self.models, "metadata")
        if isinstance(metadata, MetaData):
            return metadata
        raise CommandError(
            f"{self.name}: {self.models} is not a MetaData; write metadata = module:attribute in"
            f" [{self.name}] of {self.ini}"
        )

    @cached_property
    def include_object(self) -> Callable[..., bool]:
        """The function that the section's `include_object` names, or one that returns True."""
        given = self.section.get("include_object", "").strip()
        return self.load(given, "include_object") if given else lambda *_: True

    @cached_property
    def model_tables(self) -> dict[TableKey, Table]:
        """The tables of the app's models. In a MetaData that apps share, `tables` selects them.

        Modules of other apps may define some of them. If patterns of several apps match, the most
        specific one wins. A pattern without a schema matches models in every schema.
        """
        sharing: list[App] = []
        for app in self.apps.values():
            with suppress(CommandError):  # another app's error is shown when that app is used
                if app.database == self.database and app.metadata is self.metadata:
                    sharing.append(app)

        def claim(app: App, table: Table) -> tuple[int, ...]:
            return max(app.claim(schema, table.name) for schema in (table.schema, None))

        def has(table: Table) -> bool:
            own = claim(self, table)
            return own != () and all(own >= claim(app, table) for app in sharing)

        tables = [it for it in self.metadata.tables.values() if not it.info.get("is_view")]
        own = filter(has, tables) if self.tables else tables
        return {(table.schema, table.name): table for table in own}

    def claim(self, schema: str | None, name: str) -> tuple[int, ...]:
        """Return how specific the best matching pattern of `tables` is, or () if none matches.

        A pattern with a dot is matched with `schema.name`, any other with names without a schema.
        It is more specific if it has a dot, then by its number of characters except `*` and `?`.
        """
        full_name = f"{schema}.{name}" if schema else name
        same_kind = [it for it in self.tables if ("." in it) == bool(schema)]
        matching = [re.sub(r"[*?]", "", it) for it in same_kind if fnmatchcase(full_name, it)]
        return (bool(schema), max(map(len, matching))) if matching else ()

    def naming(self) -> AbstractContextManager[None]:
        """Begin every error in a block with the app's name; see `errors.naming`."""
        return naming(self.name, self.url_text)

    def load(self, place: str, key: str) -> Any:
        """Import and return what a key of the section names, a module or `module:attribute`."""
        module, _, attribute = place.partition(":")
        try:
            found = importlib.import_module(module)
            return attrgetter(attribute)(found) if attribute else found
        except (Exception, SystemExit) as error:
            why = explain(error)
            named = isinstance(error, ImportError | AttributeError | ValueError)
            if named and not failing_line(error):  # the fault is in the ini file, not in a module
                why = f"{error}; correct {key} in [{self.name}] of {self.ini}"
            raise CommandError(f"{self.name}: cannot import {place}: {why}") from error

    def _import_submodules(self, module: ModuleType) -> None:
        patterns = (*NO_MODELS, *re.findall(r"[^\s,]+", self.section.get("exclude_modules", "")))
        for parent in getattr(module, "__path__", ()):
            for _, dotted, _ in pkgutil.iter_modules([parent], f"{module.__name__}."):
                name = dotted.rpartition(".")[2]
                excluded = any(fnmatchcase(name, it) or fnmatchcase(dotted, it) for it in patterns)
                if not excluded and Path(parent, name).resolve() not in self.folders:
                    self._import_submodules(self.load(dotted, "metadata"))


def table_key(schema: str | None, name: str, default_schema: str | None) -> TableKey:
    """Return the key of a table or type, which is the same with and without the default schema."""
    return (None if schema == default_schema else schema, name)


def search_path(url: URL) -> str | None:
    """Return the search_path in the options of a PostgreSQL URL, if it is a single schema."""
    found = re.search(r'search_path="?(\w+)"?$', str(url.query.get("options")))
    return found and found[1]


def url_variable(name: str) -> str:
    """Return the environment variable that overrides an app's URL in alembic.ini."""
    return re.sub(r"\W", "_", name).upper() + "_DATABASE_URL"


def read_apps(config: Config) -> dict[str, App]:
    """Return the apps of alembic.ini by name, in the order of its sections.

    Imports no models and connects to nothing. Raises CommandError if there is no app, or if a
    section is wrong.
    """
    ini = Path(config.config_file_name or "alembic.ini")
    # Alembic's parser adds the keys of [DEFAULT] to every section, and has what a caller has set.
    # In this one, a section has what the file says there, and [DEFAULT] is a section as well.
    written = configparser.RawConfigParser(default_section="")
    try:
        _ = config.file_config
        written.read(config.config_file_name or (), encoding="locale")
    except (configparser.Error, UnicodeError) as error:
        raise CommandError(explain_ini(error, ini)) from None
    called_for = config.config_ini_section
    apps: dict[str, App] = {}
    for name in written.sections():
        keys = written.options(name)
        # A section with revisions and the shared env.py is an app whose `metadata` is missing.
        # Alembic reads [alembic] when it is called without a name.
        forgotten = "version_locations" in keys and "script_location" not in keys
        if name != "DEFAULT" and ("metadata" in keys or (forgotten and name != "alembic")):
            config.config_ini_section = name  # get_version_locations_list() reads that section
            try:
                apps[name] = _read_app(config, written, name, apps)
            except (configparser.Error, ValueError) as error:
                raise CommandError(f"{name}: {explain_ini(error, ini)}") from None
    config.config_ini_section = called_for
    if not apps:
        ini.read_bytes()  # raises OSError; ConfigParser ignores a file that it cannot open
        raise CommandError(
            f"no apps: {ini} has no section that sets metadata; ./add_app.sh NAME adds one"
        )
    for app, other in combinations(apps.values(), 2):
        one, two = ((it.version_table, it.version_table_schema) for it in (app, other))
        if one == two and app.database == other.database:  # their histories would mix
            raise CommandError(
                f"{other.name}: has the version table {app.version_table!r} of {app.name}"
                f" in the same database; give each its own version_table in {app.ini}"
            )
    if tenants := [app.name for app in apps.values() if app.tenants]:
        user = f"{tenants[0]}: an app with tenants"
        apps = needed_hook("apps_of_tenant", "tenant/", user)(config, apps)
    return apps


def _read_app(
    config: Config, written: configparser.RawConfigParser, name: str, apps: dict[str, App]
) -> App:
    """Return the app of a section. Both parsers have read the file; see `read_apps`."""
    section, key = config.file_config[name], "sqlalchemy.url"

    def get(key: str, default: str = "") -> str:
        return section.get(key, "").strip() or default

    def url() -> tuple[str, str]:
        if set_in_python:
            return get(key), "the URL set in Python"
        if tenants and (text := os.environ.get("TENANT_URL", "").strip() or get("tenant_url")):
            return text, "its tenant's URL"
        if text := os.environ.get(url_variable(name), "").strip():
            return text, url_variable(name)
        if written.has_option(name, key):
            return get(key), f"{key} in [{name}]"
        if text := os.environ.get("DATABASE_URL", "").strip():
            return text, "DATABASE_URL"
        return get(key), f"{key} in [DEFAULT]"

    # A caller in Python, such as a test, may have set another URL than that of the file.
    before = written.get(name, key, fallback=written.get("DEFAULT", key, fallback=""))
    set_in_python = section.get(key, "", raw=True) != before
    tenants = "" if set_in_python or get("tenants") == "none" else get("tenants")
    if ":" not in get("metadata"):
        raise ValueError("write metadata = module:attribute")
    for flag in ("transaction_per_migration", "compare_type", "compare_server_default"):
        section.getboolean(flag)  # raises ValueError; they are read where they are needed
    url_text, url_source = url()
    return App(
        name=name,
        ini=Path(str(config.config_file_name)).name,
        models=get("metadata"),
        version_locations=tuple(config.get_version_locations_list() or ()),
        version_table=get("version_table", f"alembic_version_{name}"),
        version_table_schema=get("version_table_schema") or None,
        tables=tuple(re.findall(r"[^\s,]+", get("tables"))),
        lock_timeout=float(get("lock_timeout", "60")),
        url_text=url_text,
        url_source=url_source,
        tenants=tenants,
        section=section,
        apps=apps,
    )
