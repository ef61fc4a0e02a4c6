"""Green threads: eventlet itself, and what it leaves to be done.

The modules of ``serving`` take ``eventlet`` from here, because importing it prints a deprecation notice that this
module silences (the README tells the reader what it says). Nothing here imports Django.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # The category, eventlet.EventletDeprecationWarning, exists only once the import has warned.
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    import eventlet
    import eventlet.greenthread
    import eventlet.hubs
    import eventlet.patcher

__all__ = ["eventlet"]
