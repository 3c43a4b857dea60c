"""The list of tenants, and the databases or schemas of each."""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from zlib import crc32

from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from ...apps import App
from ...errors import naming, program

NAME = re.compile(r"\w{1,63}", re.ASCII)
"""Valid names of tenants and of their schemas. PostgreSQL would cut a longer one."""


@dataclass(frozen=True)
class Tenant:
    """A tenant: its name, and its URL if the list of tenants has one."""

    name: str
    url: str = ""

    def __post_init__(self) -> None:
        """Refuse a name that is not valid."""
        if not NAME.fullmatch(self.name):
            name = self.name.partition("://")[0]  # of a URL, which may have a password
            raise CommandError(
                f"tenants: {name!r} is not valid; use at most 63 letters, digits and underscores"
            )


def read_tenants(config: Config, apps: Iterable[App]) -> list[Tenant]:
    """Return all tenants, in the order of their list."""
    of_tenants = [app for app in apps if app.tenants]
    if not of_tenants:
        raise CommandError("tenants: no section of alembic.ini sets `tenants`; set it in [DEFAULT]")
    app, *others = of_tenants
    if other := next((it for it in others if it.tenants != app.tenants), None):
        raise CommandError(
            f"{other.name}: has other tenants than {app.name}; set `tenants` in [DEFAULT] of"
            f" {app.ini}, and `tenants = none` in apps without"
        )
    with naming("tenants", ""):
        is_function = ":" in app.tenants
        tenants = _from_function(config, app) if is_function else _from_file(config, app)
    seen: dict[str, Tenant] = {}
    for tenant in tenants:
        for text in filter(None, (tenant.name, tenant.url)):
            if seen.setdefault(text, tenant) is not tenant:
                both = f"{seen[text].name} and {tenant.name}"
                raise CommandError(f"tenants: {both} have the same name or URL; correct one")
    return tenants


def _from_function(config: Config, app: App) -> list[Tenant]:
    """Return the tenants from a function that returns names, or pairs of name and URL."""
    sys.path[:] = dict.fromkeys([*(config.get_prepend_sys_paths_list() or ()), *sys.path])
    function = app.load(app.tenants, "tenants")

    def text(it: Any) -> str:
        return it.render_as_string(hide_password=False) if isinstance(it, URL) else str(it or "")

    return [Tenant(it) if isinstance(it, str) else Tenant(*map(text, it)) for it in function()]


def _from_file(config: Config, app: App) -> list[Tenant]:
    """Return the tenants from a file, whose lines are `NAME`, `NAME URL` or a `# comment`.

    A relative path begins in the folder of alembic.ini.
    """
    text = Path(str(config.config_file_name)).parent.joinpath(app.tenants).read_text("utf-8-sig")
    lines = [line.strip() for line in text.splitlines()]
    return [Tenant(*it.split(maxsplit=1)) for it in lines if it and not it.startswith("#")]


def chosen(
    config: Config, apps: Iterable[App], names: Sequence[str] = (), part: str = ""
) -> list[Tenant]:
    """Return the tenants in the part `K/N` whose names match a pattern, if any is given."""
    tenants = read_tenants(config, apps)
    patterns = names or ["*"]
    for name in patterns:
        if not any(fnmatchcase(tenant.name, name) for tenant in tenants):
            create = program("tenant", "NAME")
            raise CommandError(f"tenants: there is no tenant {name}; create one with: {create}")
    found = [it for it in tenants if any(fnmatchcase(it.name, name) for name in patterns)]
    if not part:
        return found
    numbers = re.fullmatch(r"(\d+)/([1-9]\d*)", part)
    if not numbers or int(numbers[1]) > int(numbers[2]):
        raise CommandError(f"--part is {part}; write K/N, with K from 0 to N-1 or from 1 to N")
    index, count = map(int, numbers.groups())
    # The name alone decides, so that a tenant stays in its part.
    return [it for it in found if crc32(it.name.encode()) % count == index % count]


def one_of(config: Config, apps: Iterable[App], names: Sequence[str]) -> Tenant:
    """Return the tenant that is named, or the first one if none is."""
    tenant, *others = chosen(config, apps, names)
    if others and names:
        given = " ".join(names)
        raise CommandError(f"tenants: {given} is more than one; name one, such as {tenant.name}")
    if others:
        print(f"with {tenant.name}, the first of {len(others) + 1} tenants:")
    return tenant


def bound(config: Config, apps: Mapping[str, App], tenant: Tenant) -> dict[str, App]:
    """Return all apps, with those that have tenants bound to the database of this tenant."""
    found: dict[str, App] = {}
    for app in apps.values():
        settings: dict[str, Any] = {"apps": found}
        if app.tenants:
            url, schema = place_of(config, app, tenant)
            url = with_schema(url, schema) if schema else url
            settings |= {"url_text": url, "url_source": f"the URL of {tenant.name}", "tenants": ""}
        found[app.name] = replace(app, **settings)
    return found


def place_of(config: Config, app: App, tenant: Tenant) -> tuple[str, str]:
    """Return the URL of a tenant's database, and the tenant's schema in it, or an empty string."""
    schema = config.file_config.get(app.name, "tenant_schema", fallback="").strip()
    url = tenant.url or app.url_text
    if not tenant.url and "{tenant}" not in url + schema:
        raise CommandError(
            f"{app.name}: all tenants would share one database; write"
            " {tenant} in tenant_url or tenant_schema"
            f" of {app.ini}"
        )
    url, schema = (it.replace("{tenant}", tenant.name) for it in (url, schema))
    if schema and (
        app.version_table_schema or not url.startswith("postgresql") or not NAME.fullmatch(schema)
    ):
        raise CommandError(
            f"{app.name}: tenant_schema needs PostgreSQL, no version_table_schema, and a name of at"
            f" most 63 letters, digits and underscores, not {schema!r}; correct it in {app.ini}"
        )
    return url, schema


def with_schema(text: str, schema: str) -> str:
    """Return the URL with an option that sets search_path to this schema alone.

    Sessions start with it, so `DISCARD ALL` returns to it.
    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        return text  # App.url says what is wrong with it
    quoted = f'"{schema}"' if schema != schema.lower() else schema
    options = f"{url.query.get('options', '')} -csearch_path={quoted}".strip()
    return url.update_query_dict({"options": options}).render_as_string(hide_password=False)
