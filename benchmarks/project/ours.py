"""This project's server on the benchmark's Django project: ``python -m benchmarks.project.ours PORT [REUSEPORT]``."""

from __future__ import annotations

from django_websocket.serving.patch import patch

patch()

import os  # noqa: E402 - patched first
import sys  # noqa: E402

from django.core.wsgi import get_wsgi_application  # noqa: E402

from django_websocket.serving.process.binding import bind_sockets  # noqa: E402
from django_websocket.serving.process.operator_signals import operator_signals  # noqa: E402
from django_websocket.serving.process.site import SiteServer  # noqa: E402
from django_websocket.serving.tls import TLS, read_certificate  # noqa: E402

from .pauses import record_pauses  # noqa: E402


def main(port: int, *, shared: bool = False) -> None:
    """Serve as ``runwsserver --noreload`` does, less its access log; ``shared`` with others on the same port."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.project.settings_ours"
    application = get_wsgi_application()
    record_pauses()
    listeners = bind_sockets(f"127.0.0.1:{port}", reuse_port=shared)
    certificate = os.environ.get("BENCHMARK_CERTIFICATE")
    tls = None if certificate is None else TLS(lambda: read_certificate(certificate))
    server = SiteServer(application, listeners, tls=tls)
    with operator_signals(lambda _: server.stop(drain_timeout=1), until_exit=True):
        server.serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), shared=len(sys.argv) > 2)
