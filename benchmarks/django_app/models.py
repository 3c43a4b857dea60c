"""Three models; each part of this file becomes a revision of its own."""

from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=100)
    email = models.CharField(max_length=200, null=True)
    born = models.IntegerField(null=True)
    created = models.DateTimeField()


# Next revision


class Book(models.Model):
    title = models.CharField(max_length=100)
    pages = models.IntegerField()
    published = models.DateField(null=True)
    author = models.ForeignKey(Author, models.CASCADE, db_index=False)

    class Meta:
        indexes = [models.Index(fields=["title"], name="ix_app001_book_title")]


# Next revision


class Review(models.Model):
    text = models.TextField()
    stars = models.IntegerField()
    public = models.BooleanField()
    created = models.DateTimeField()
