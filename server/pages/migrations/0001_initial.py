from __future__ import annotations

from typing import Any

from django.db import migrations, models


def make_choices(apps: Any, schema_editor: Any) -> None:
    choice = apps.get_model("pages", "Choice")
    choice.objects.bulk_create([choice(label=label) for label in ("Tea", "Coffee", "Water")])


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Choice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("label", models.CharField(max_length=50, unique=True)),
                ("votes", models.PositiveIntegerField(default=0)),
            ],
        ),
        migrations.RunPython(make_choices, migrations.RunPython.noop),
    ]
