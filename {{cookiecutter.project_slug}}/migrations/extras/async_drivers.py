"""Async drivers, such as asyncpg, aiomysql and aiosqlite."""

import re
from collections.abc import Callable
from contextlib import closing
from typing import TypeVar
from uuid import uuid4

from sqlalchemy import URL, Connection, pool

from ..databases import Databases, connect_args, in_session, keep_settings

T = TypeVar("T")


def run_async(url: URL, work: Callable[[Connection], T]) -> T:
    """Call `work` with a connection of an async driver, even if an event loop is running."""
    if url.drivername == "sqlite+aiosqlite":
        # aiosqlite's thread prints a traceback if it cannot open the file.
        with closing(Databases()) as databases:
            return databases.run(url.set(drivername="sqlite"), work)

    import asyncio  # here, because only async drivers need these slow imports
    from concurrent.futures import ThreadPoolExecutor

    from sqlalchemy.ext.asyncio import create_async_engine

    at, arguments = url, connect_args(url)
    if url.get_driver_name() == "asyncpg":
        # Other drivers read `?options=` themselves.
        at = url.difference_update_query(["options"])
        arguments = {
            "server_settings": dict(re.findall(r"-c *(\w+)=(\S+)", str(url.query.get("options")))),
            # Behind a PgBouncer, another session may have prepared statements of the same names.
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: f"__asyncpg_{uuid4()}__",
        }

    async def connect_and_work() -> T:
        engine = create_async_engine(at, poolclass=pool.NullPool, connect_args=arguments)
        keep_settings(engine.sync_engine)
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(in_session, url, work)
        finally:
            await engine.dispose()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(connect_and_work())
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, connect_and_work()).result()
