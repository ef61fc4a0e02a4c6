"""Green threads: eventlet, and additions to it.

The modules of ``serving`` import ``eventlet`` from here, because this module silences the deprecation notice that
importing it prints (the README repeats it). Imports no Django.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # By message: the category, eventlet.EventletDeprecationWarning, is not importable before it has warned.
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    import eventlet
    import eventlet.greenthread
    import eventlet.hubs
    import eventlet.patcher

__all__ = ["eventlet"]
