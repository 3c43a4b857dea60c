"""One of many revisions: an index dropped and created again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("app001", "BEFORE_step")]
    operations = [
        migrations.RemoveIndex("book", "ix_app001_book_title"),
        migrations.AddIndex("book", models.Index(fields=["title"], name="ix_app001_book_title")),
    ]
