"""gunicorn's settings. Change wsgi_app, bind (systemd's socket comes before it) and workers."""

import os

wsgi_app = "server.wsgi"
worker_class = "django_websocket.serving.gunicorn.EventletWorker"
workers = os.cpu_count() or 1  # with more than one, groups need Redis
bind = "127.0.0.1:8000"

timeout = 30  # seconds that a view may block the whole process
graceful_timeout = 30  # seconds that requests and websockets have on a reload or stop; below systemd's TimeoutStopSec
max_requests = 100_000  # requests until a worker is replaced; websockets don't count
max_requests_jitter = 20_000

forwarded_allow_ips = "127.0.0.1,::1"  # the proxies that are believed to say https; so is whoever uses a unix socket
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}

accesslog = "-"
access_log_format = '%({x-forwarded-for}i)s %(t)s "%(r)s" %(s)s %(b)s %(L)s "%(f)s" "%(a)s"'
worker_tmp_dir = "/dev/shm"  # each worker's sign of life is a file, which must not wait for a disk
control_socket_disable = True  # gunicorn 25 and later
