"""Makes the database of a served site: ``python -m tests.live_page.prepare``. Prints each person's session, as JSON."""

from __future__ import annotations

import json

import django
from django.core.management import call_command

if __name__ == "__main__":
    django.setup()
    call_command("migrate", verbosity=0)

    from tests.live_page.people import make_people, new_session

    print(json.dumps({name: new_session(user) for name, user in make_people().items()}))
