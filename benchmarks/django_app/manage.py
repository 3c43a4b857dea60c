"""The least that Django needs: its settings, and the start of its commands."""

import os
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.management import execute_from_command_line

url = urlsplit(os.environ["DATABASE_URL"])
engine = "sqlite3" if url.scheme == "sqlite" else "postgresql"
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": f"django.db.backends.{engine}",
            "NAME": unquote(url.path[1:]),
            "HOST": url.hostname,
            "PORT": url.port,
            "USER": unquote(url.username or ""),
            "PASSWORD": unquote(url.password or ""),
        }
    },
    INSTALLED_APPS=sorted(f"bench.{app.name}" for app in Path("bench").glob("app*")),
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
)
execute_from_command_line(sys.argv)
