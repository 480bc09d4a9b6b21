"""The tables."""

from django.conf import settings
from django.db import models


class Book(models.Model):
    title = models.CharField(max_length=100, unique=True)
    copies = models.PositiveIntegerField(default=1)


class Loan(models.Model):
    book = models.ForeignKey(Book, models.CASCADE)
    reader = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    returned = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["book", "reader"], condition=models.Q(returned=False), name="one_at_a_time")
        ]
