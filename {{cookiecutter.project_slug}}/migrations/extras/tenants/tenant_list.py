"""The list of tenants, and the databases or schemas of each."""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from hashlib import blake2b
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from ...apps import App
from ...errors import explain, naming, program

NAME = re.compile(r"\w+", re.ASCII)
"""Valid names of tenants, which become parts of URLs and of schemas' names."""


PLACE = "{tenant}"
"""What stands for the name of a tenant in `tenant_url` and `tenant_schema`."""


class NoTenants(CommandError):
    """Raised if there is no list of tenants yet, or if it is empty."""


@dataclass(frozen=True)
class Tenant:
    """A tenant: its name, and its URL if the list of tenants has one."""

    name: str
    url: str = ""


def read_tenants(config: Config, apps: Iterable[App]) -> list[Tenant]:
    """Return all tenants, in the order of their list.

    Raises NoTenants if there is no such list, and CommandError for a bad name.
    """
    of_tenants = [app for app in apps if app.tenants]
    if not of_tenants:
        raise CommandError("tenants: no section of alembic.ini sets `tenants`; set it in [DEFAULT]")
    app, source = of_tenants[0], of_tenants[0].tenants
    if other := next((it for it in of_tenants if it.tenants != source), None):
        raise CommandError(
            f"{other.name}: has other tenants than {app.name}; set `tenants` in [DEFAULT] of"
            f" {app.ini}, and `tenants = none` in apps without"
        )
    with naming("tenants", ""):
        found = _from_function(config, app) if ":" in source else _from_file(Path(source))
    if not found:
        raise NoTenants(
            f"tenants: {source} lists no tenants; add the first one, and create it with:"
            f" {program('tenant', 'NAME')}"
        )
    tenants: dict[str, Tenant] = {}
    by_url: dict[str, Tenant] = {}
    for tenant in found:
        if not NAME.fullmatch(tenant.name):
            name = tenant.name.partition("://")[0]  # of a URL, which may have a password
            raise CommandError(
                f"tenants: {source} lists {name!r}; use letters, digits and underscores"
            )
        if tenant.name in tenants:
            raise CommandError(f"tenants: {source} lists {tenant.name} twice; remove one")
        same = by_url.setdefault(tenant.url, tenant)
        if tenant.url and same is not tenant:
            raise CommandError(f"tenants: {same.name} and {tenant.name} have the same URL")
        tenants[tenant.name] = tenant
    return list(tenants.values())


def _from_function(config: Config, app: App) -> list[Tenant]:
    """Return the tenants from a function that returns names, or pairs of name and URL."""
    sys.path[:] = dict.fromkeys([*(config.get_prepend_sys_paths_list() or ()), *sys.path])
    function = app.load(app.tenants, "tenants")

    def text(it: Any) -> str:
        return it.render_as_string(hide_password=False) if isinstance(it, URL) else str(it or "")

    try:
        return [Tenant(it) if isinstance(it, str) else Tenant(*map(text, it)) for it in function()]
    except Exception as error:
        raise NoTenants(f"tenants: {app.tenants} failed: {explain(error)}") from error


def _from_file(path: Path) -> list[Tenant]:
    """Return the tenants from a file, whose lines are `NAME`, `NAME URL` or a `# comment`."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    return [Tenant(*it.split(maxsplit=1)) for it in lines if it and not it.startswith("#")]


def chosen(tenants: Sequence[Tenant], names: Sequence[str], part: str = "") -> list[Tenant]:
    """Return the tenants in the part `K/N` whose names match a pattern, if any is given."""
    for name in names:
        if not any(fnmatchcase(tenant.name, name) for tenant in tenants):
            raise CommandError(f"tenants: there is no tenant {name}")
    patterns = names or ["*"]
    found = [it for it in tenants if any(fnmatchcase(it.name, name) for name in patterns)]
    if not part:
        return found
    numbers = re.fullmatch(r"(\d+)/([1-9]\d*)", part)
    if not numbers or int(numbers[1]) > int(numbers[2]):
        raise CommandError(f"--part is {part}; write K/N, with K from 0 to N-1 or from 1 to N")
    index, count = map(int, numbers.groups())
    return [it for it in found if _number_of(it) % count == index % count]


def _number_of(tenant: Tenant) -> int:
    """Return a number that depends only on the name, so that a tenant stays in its part."""
    return int.from_bytes(blake2b(tenant.name.encode(), digest_size=8).digest())


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
    if not tenant.url and PLACE not in url + schema:
        raise CommandError(
            f"{app.name}: all tenants would share one database; write {PLACE} in tenant_url or"
            f" tenant_schema of {app.ini}"
        )
    if schema and app.version_table_schema:
        raise CommandError(
            f"{app.name}: version tables of tenants are in their schemas; remove"
            f" version_table_schema from {app.ini}"
        )
    url, schema = (it.replace(PLACE, tenant.name) for it in (url, schema))
    if schema and not url.startswith("postgresql"):
        raise CommandError(f"{app.name}: tenant_schema needs PostgreSQL; correct it in {app.ini}")
    if schema and (not NAME.fullmatch(schema) or len(schema) > 63):  # PostgreSQL would cut it
        raise CommandError(
            f"{app.name}: a tenant's schema cannot be called {schema!r}; use at most 63 letters,"
            " digits and underscores"
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
