"""What the demo keeps in the database."""

from __future__ import annotations

from django.db import models


class Choice(models.Model):
    """An answer in the poll. The migration makes three."""

    label = models.CharField(max_length=50, unique=True)
    votes = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return self.label
