"""How hypothesis runs: at random on a developer's machine, the same each time where all must pass."""

from __future__ import annotations

import os

from hypothesis import settings

from tests.conftest import REQUIRE_ALL

settings.register_profile("at-random", deadline=None)
settings.register_profile("the-same", deadline=None, derandomize=True, database=None)
settings.load_profile("the-same" if os.environ.get("CI") or os.environ.get(REQUIRE_ALL) else "at-random")
