"""The apps: the sections of alembic.ini that set `metadata`."""

import configparser
import importlib
import os
import pkgutil
import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import combinations
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from alembic.config import Config
from alembic.util import CommandError, coerce_resource_to_filename
from sqlalchemy import URL, MetaData, Table, make_url
from sqlalchemy.exc import ArgumentError

from .commands import hooks
from .errors import explain, explain_ini, naming, program, relative

TableKey = tuple[str | None, str]
"""A table's schema (None: the database's default) and name."""

NO_MODELS = ("__main__", "conftest", "tests", "test_*")
"""Name patterns of modules that are not imported to find the models of a package."""

SET_IN_PYTHON = "the URL set in Python"

AT_IN_PASSWORD = re.compile(r"[^:]+://[^:/]*:[^@]*@[^?]*@")
"""A URL with an unquoted @ in its password: SQLAlchemy would read the rest of it as the host."""


@dataclass(frozen=True, eq=False)
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
    transaction_per_migration: bool
    compare_type: bool
    compare_server_default: bool
    filter: str
    """`module:function`, the section's `include_object`. If empty, everything is compared."""
    exclude_modules: tuple[str, ...]
    """Name patterns of modules that hold no models."""
    url_text: str
    url_source: str
    """Where the URL was found, for messages: an environment variable or a section."""
    tenants: str
    """The section's `tenants`. Empty if the app has none, or is bound to one of them."""
    apps: "dict[str, App]" = field(repr=False)
    """All apps of the file, by name."""

    @cached_property
    def url(self) -> URL:
        """The URL of the app's database. Raises CommandError if the app has tenants."""
        if self.tenants:
            raise CommandError(
                f"{self.name}: has tenants; name one of them: {program()} COMMAND"
                f" --tenant NAME, or alembic -x tenant=NAME --name {self.name} COMMAND"
            )
        return self._parsed_url

    @cached_property
    def _parsed_url(self) -> URL:
        if not self.url_text:
            raise CommandError(
                f"{self.name}: no database URL; set DATABASE_URL or {url_variable(self.name)}"
                f" in the environment, or sqlalchemy.url in [{self.name}] of {self.ini}"
            )
        url = None
        if not AT_IN_PASSWORD.match(self.url_text):
            with suppress(ArgumentError, ValueError):
                url = make_url(self.url_text)
        if url is None:  # the URL and SQLAlchemy's error hold the password, so they are not shown
            raise CommandError(
                f"{self.name}: {self.url_source} is not a database URL"
                " like postgresql+psycopg://user:password@host/name"
                " (in a password, write @ : / % as %40 %3A %2F %25)"
            )
        if url.get_backend_name() in ("mysql", "mariadb") and not url.database:
            raise CommandError(
                f"{self.name}: {self.url_source} names no database; add its name after the host,"
                " as in mysql+pymysql://user:password@host/name"
            )
        return url

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

    @property
    def schema(self) -> str | None:
        """The default schema, if the URL names it: its search_path, or on MySQL its database."""
        if self.database[0] == "postgresql":
            return search_path(self._parsed_url)
        return self.database[-1] if self.database[0] == "mysql" else None

    @cached_property
    def folders(self) -> tuple[Path, ...]:
        """The folders of the app's revisions. A missing one is an error; Alembic ignores it."""
        correct = f"correct version_locations in [{self.name}] of {self.ini}"
        if not self.version_locations:
            raise CommandError(
                f"{self.name}: version_locations is not set; set it in [{self.name}] of {self.ini}"
            )
        found = []
        for location in self.version_locations:
            try:
                folder = coerce_resource_to_filename(location)
            except ModuleNotFoundError as error:
                raise CommandError(
                    f"{self.name}: the package {error.name!r} is not installed; install it,"
                    f" {correct}, or run: {program('remove', self.name)}"
                ) from None
            if not folder.is_dir():
                raise CommandError(
                    f"{self.name}: {relative(str(folder))} is not a folder; {correct}"
                )
            found.append(folder.resolve())
        return tuple(found)

    @cached_property
    def metadata(self) -> MetaData:
        """The app's MetaData. If its module is a package, its submodules are imported first.

        A missing model would become a DROP TABLE, so a failed import raises CommandError.
        """
        module = self._import(self.models.partition(":")[0], "metadata")
        self._import_submodules(module)
        metadata = self.attribute(self.models, "metadata")
        if not isinstance(metadata, MetaData):
            kind = type(metadata).__name__
            raise CommandError(
                f"{self.name}: {self.models} is of type {kind}, not MetaData; correct metadata in"
                f" [{self.name}] of {self.ini}"
            )
        return metadata

    @cached_property
    def include_object(self) -> Callable[..., bool]:
        """The function that the section's `include_object` names, or one that returns True."""
        return self.attribute(self.filter, "include_object") if self.filter else lambda *_: True

    @cached_property
    def model_tables(self) -> dict[TableKey, Table]:
        """The tables of the app's models. In a MetaData that apps share, `tables` selects them.

        Modules of other apps may define some of them. If patterns of several apps match, the most
        specific one wins. A pattern without a schema matches models in every schema.
        """
        metadata, sharing = self.metadata, [self]
        for app in self.apps.values():
            with suppress(CommandError):  # another app's error is shown when that app is used
                if app.database == self.database and app.metadata is metadata:
                    sharing.append(app)

        def claim(app: App, table: Table) -> tuple[int, ...]:
            return max(app.claim(schema, table.name) for schema in (table.schema, None))

        return {
            (table.schema, table.name): table
            for table in metadata.tables.values()
            if not table.info.get("is_view")
            and (
                not self.tables
                or ((own := claim(self, table)) and own >= max(claim(it, table) for it in sharing))
            )
        }

    def claim(self, schema: str | None, name: str) -> tuple[int, ...]:
        """Return how specific the best matching pattern of `tables` is, or () if none matches.

        A pattern with a dot is matched with `schema.name`, any other with names without a schema.
        It is more specific if it has a dot, then by its number of characters except `*` and `?`.
        """
        full_name = f"{schema}.{name}" if schema else name
        patterns = [pattern for pattern in self.tables if ("." in pattern) == bool(schema)]
        matching = [pattern for pattern in patterns if fnmatchcase(full_name, pattern)]
        return max(((bool(schema), len(re.sub(r"[*?]", "", it))) for it in matching), default=())

    def naming(self) -> AbstractContextManager[None]:
        """Begin every error in a block with the app's name; see `errors.naming`."""
        return naming(self.name, self.url_text)

    def attribute(self, place: str, key: str) -> Any:
        """Import and return what `place` names, the `module:attribute` in a key of the section."""
        module, _, attribute = place.partition(":")
        try:
            return attrgetter(attribute)(self._import(module, key))
        except AttributeError:
            raise CommandError(
                f"{self.name}: {module} has no {attribute!r}; correct {key} in [{self.name}] of"
                f" {self.ini}"
            ) from None

    def _import(self, name: str, key: str) -> ModuleType:
        try:
            return importlib.import_module(name)
        except (Exception, SystemExit) as error:
            line = f"{self.name}: cannot import {name}"
            # The module itself or its parent is missing, not a module that it imports.
            if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
                line += f": there is no module {error.name}; correct {key} in [{self.name}]"
                raise CommandError(f"{line} of {self.ini}") from None
            raise CommandError(f"{line}: {explain(error)}") from error

    def _import_submodules(self, module: ModuleType) -> None:
        for parent in getattr(module, "__path__", ()):
            for _, dotted, _ in pkgutil.iter_modules([parent], f"{module.__name__}."):
                name = dotted.rpartition(".")[2]
                patterns = (*NO_MODELS, *self.exclude_modules)
                excluded = any(fnmatchcase(name, it) or fnmatchcase(dotted, it) for it in patterns)
                if not excluded and Path(parent, name).resolve() not in self.folders:
                    self._import_submodules(self._import(dotted, "metadata"))


def read_apps(config: Config) -> dict[str, App]:
    """Return the apps of alembic.ini by name, in the order of its sections.

    Imports no models and connects to nothing. Raises CommandError if there is no app, or if a
    section is wrong.
    """
    ini = Path(config.config_file_name or "alembic.ini")
    try:
        sections = _own_keys(config.file_config)
        # A caller in Python, such as a test, may have set another URL than that of the file.
        as_written = None if config.cmd_opts else Config(config.config_file_name).file_config
    except (configparser.Error, UnicodeError) as error:
        raise CommandError(explain_ini(error, ini)) from None
    called_for = config.config_ini_section  # Alembic reads version_locations from that section
    apps: dict[str, App] = {}
    for name, keys in sections.items():
        if _is_app(name, keys):
            apps[name] = _read_app(config, as_written, name, keys, apps)
    config.config_ini_section = called_for
    if not apps:
        with ini.open("rb"):  # ConfigParser ignores a file that it cannot open; open() raises
            raise CommandError(
                f"no apps: {ini} has no section that sets metadata; ./add_app.sh NAME adds one"
            )
    _check_version_tables(apps.values())
    of_tenants = [app for app in apps.values() if app.tenants]
    if of_tenants and not hooks("apps_of_tenant"):
        raise CommandError(
            f"{of_tenants[0].name}: has tenants, and migrations/extras/tenant is missing;"
            f" restore it, or remove `tenants` from {ini.name}"
        )
    for for_tenant in hooks("apps_of_tenant") if of_tenants else ():
        apps = for_tenant(config, apps)
    return apps


def table_key(schema: str | None, name: str, default_schema: str | None) -> TableKey:
    """Return the key of a table or type, which is the same with and without the default schema."""
    return (None if schema == default_schema else schema, name)


def search_path(url: URL) -> str | None:
    """Return the search_path in the options of a PostgreSQL URL, if it is a single schema."""
    found = re.search(r'search_path="?(\w+)"?$', str(url.query.get("options")))
    return found and found[1]


def select_apps(apps: dict[str, App], names: Iterable[str]) -> list[App]:
    """Return the apps with these names, or all if there are none, in the order of the sections."""
    wanted = set(names)
    if unknown := sorted(wanted - set(apps)):
        where = "".join({f" in {app.ini}" for app in apps.values()})
        raise CommandError(f"{', '.join(unknown)}: no such app{where}; apps: {', '.join(apps)}")
    return [app for app in apps.values() if not wanted or app.name in wanted]


def choose_an_app(apps: Iterable[str]) -> str:
    """Return the message for someone who called Alembic without the name of an app."""
    return (
        f"name an app: alembic --name APP ..., where APP is one of: {', '.join(apps)};"
        f" {program('migrate')} migrates them all"
    )


def url_variable(name: str) -> str:
    """Return the environment variable that overrides an app's URL in alembic.ini."""
    return re.sub(r"\W", "_", name).upper() + "_DATABASE_URL"


def _is_app(section: str, own: set[str]) -> bool:
    # A section with revisions and the shared env.py is an app whose `metadata` is missing.
    # Alembic reads [alembic] when it is called without a name.
    forgotten = "version_locations" in own and "script_location" not in own
    return "metadata" in own or (forgotten and section != "alembic")


def _own_keys(parser: configparser.ConfigParser) -> dict[str, set[str]]:
    """Return the keys that each section sets itself; ConfigParser adds those of [DEFAULT]."""
    defaults = cast("dict[str, str]", parser.defaults())
    kept = dict(defaults)
    defaults.clear()
    keys = {section: set(parser.options(section)) for section in parser.sections()}
    defaults.update(kept)
    return keys


def _read_app(
    config: Config,
    as_written: configparser.ConfigParser | None,
    name: str,
    own: set[str],
    apps: dict[str, App],
) -> App:
    def get(key: str, default: str = "") -> str:
        return config.file_config.get(name, key, fallback=default).strip() or default

    def is_on(key: str, default: bool) -> bool:
        return config.file_config.getboolean(name, key, fallback=default)

    def words(key: str) -> tuple[str, ...]:
        return tuple(get(key).replace(",", " ").split())

    def url() -> tuple[str, str]:
        key = "sqlalchemy.url"
        if as_written and (now := get(key)) != as_written.get(name, key, fallback="").strip():
            return now, SET_IN_PYTHON
        if tenants and (text := os.environ.get("TENANT_URL", "").strip() or get("tenant_url")):
            return text, "its tenant's URL"
        if text := os.environ.get(url_variable(name), "").strip():
            return text, url_variable(name)
        if key in own:
            return get(key), f"{key} in [{name}]"
        if text := os.environ.get("DATABASE_URL", "").strip():
            return text, "DATABASE_URL"
        return get(key), f"{key} in [DEFAULT]"

    config.config_ini_section = name
    ini = Path(str(config.config_file_name))
    try:
        tenants = get("tenants") if get("tenants") != "none" else ""
        url_text, url_source = url()
        timeout = get("lock_timeout", "60")
        app = App(
            name=name,
            ini=ini.name,
            models=get("metadata") if "metadata" in own else "",
            version_locations=tuple(config.get_version_locations_list() or ()),
            version_table=get("version_table", f"alembic_version_{name}"),
            version_table_schema=get("version_table_schema") or None,
            tables=words("tables"),
            lock_timeout=float(timeout) if re.fullmatch(r"\d+(\.\d+)?", timeout) else -1,
            transaction_per_migration=is_on("transaction_per_migration", default=False),
            compare_type=is_on("compare_type", default=True),
            compare_server_default=is_on("compare_server_default", default=True),
            filter=get("include_object"),
            exclude_modules=words("exclude_modules"),
            url_text=url_text,
            url_source=url_source,
            tenants="" if url_source == SET_IN_PYTHON else tenants,
            apps=apps,
        )
    except configparser.Error as error:
        raise CommandError(f"{name}: {explain_ini(error, ini)}") from None
    except ValueError as error:
        raise CommandError(f"{name}: {error}") from None
    if not re.fullmatch(r"[^:\s]+:[^:\s]+", app.models):
        problem = f"metadata is {app.models or 'not set'}; write metadata = module:attribute"
    elif app.lock_timeout < 0:
        problem = f"lock_timeout is {timeout}; write a number of seconds"
    elif len(app.version_table.encode()) > 59:  # PostgreSQL's 63 bytes less the "_pkc" of its key
        problem = f"{app.version_table} is too long; write a version_table of 59 bytes at most"
    else:
        return app
    raise CommandError(f"{name}: {problem} in [{name}] of {app.ini}")


def _check_version_tables(apps: Iterable[App]) -> None:
    """Refuse two apps with the same version table in one database: their histories would mix."""
    version_table = attrgetter("version_table", "version_table_schema")
    for other, app in combinations(apps, 2):
        if version_table(app) == version_table(other) and app.database == other.database:
            raise CommandError(
                f"{app.name}: has the version table {app.version_table!r} of {other.name}"
                f" in the same database; give each its own version_table in {app.ini}"
            )
