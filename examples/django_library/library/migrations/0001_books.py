"""Books and loans, and the first two books."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def first_books(apps, editor):
    apps.get_model("library", "Book").objects.bulk_create(
        [apps.get_model("library", "Book")(title=title, copies=1) for title in ("Middlemarch", "Emma")]
    )


class Migration(migrations.Migration):
    initial = True
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.CreateModel(
            "Book",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("title", models.CharField(max_length=100, unique=True)),
                ("copies", models.PositiveIntegerField(default=1)),
            ],
        ),
        migrations.CreateModel(
            "Loan",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("returned", models.BooleanField(default=False)),
                ("book", models.ForeignKey("library.Book", django.db.models.deletion.CASCADE)),
                ("reader", models.ForeignKey(settings.AUTH_USER_MODEL, django.db.models.deletion.CASCADE)),
            ],
        ),
        migrations.AddConstraint(
            "Loan",
            models.UniqueConstraint(
                fields=["book", "reader"], condition=models.Q(returned=False), name="one_at_a_time"
            ),
        ),
        migrations.RunPython(first_books, migrations.RunPython.noop),
    ]
