"""A Flask application."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Flask, Response, jsonify, request

application = Flask(__name__)


@application.get("/")
@application.get("/hello/")
def hello() -> str:
    return "Hello, everybody"


@application.get("/stream/")
def stream() -> Response:
    def words() -> Iterator[str]:
        for word in ("one", "two", "three"):
            yield f"{word} "

    return Response(words(), mimetype="text/plain")


@application.post("/json/")
def as_json() -> Response:
    return jsonify(request.get_json() | {"scheme": request.scheme})
