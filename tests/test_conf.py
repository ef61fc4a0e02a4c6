"""The declarations of settings, and the options that derive from them."""

from __future__ import annotations

from typing import Any

import pytest

from django_websocket.conf import OPTIONS, SETTINGS, check_options, get_setting
from django_websocket.options import Options, resolve_options
from django_websocket.rates import Amount, Rate


def test_every_default_is_valid() -> None:
    for setting in SETTINGS.values():
        assert setting.is_valid(setting.default), setting.name


def test_every_setting_is_named_after_the_project_and_documented() -> None:
    for name, setting in SETTINGS.items():
        assert name == setting.name
        assert name.startswith("WEBSOCKET_")
        assert setting.doc.endswith(".")
        assert setting.expects
    assert {option for option in OPTIONS if f"WEBSOCKET_{option.upper()}" not in SETTINGS} == {"origins"}


WRONG: dict[str, list[object]] = {
    "WEBSOCKET_ACCEPT_ALL": [1, "True", None],
    "WEBSOCKET_ALLOWED_ORIGINS": ["*", [1], [""], 5],
    "WEBSOCKET_SUBPROTOCOLS": ["chat", None, [b"chat"], [""]],
    "WEBSOCKET_COMPRESSION": [1, "yes", None],
    "WEBSOCKET_MAX_MESSAGE_SIZE": [0, -1, 1.5, "1", None, True],
    "WEBSOCKET_MAX_QUEUE": [0, None, True],
    "WEBSOCKET_MAX_OUTBOX": [0, None],
    "WEBSOCKET_SEND_TIMEOUT": [0, -1, None, "10", True],
    "WEBSOCKET_PING_INTERVAL": [-1, "20", True],
    "WEBSOCKET_PING_TIMEOUT": [0, None],
    "WEBSOCKET_CLOSE_TIMEOUT": [0, None],
    "WEBSOCKET_RELEASE_DB_AFTER": [-1, "1", True, float("nan")],
    "WEBSOCKET_MAX_CONNECTIONS": [0, None, 1.0],
    "WEBSOCKET_MAX_CONNECTIONS_PER_IP": [0, -1, 1.0, "50", True],
    "WEBSOCKET_MAX_CONNECTIONS_PER_USER": [0, True],
    "WEBSOCKET_RATE": ["", 50, "50", "50/d", "100KB/s", "1/s, 2/s"],
    "WEBSOCKET_RATE_ACTION": ["drop", None],
    "WEBSOCKET_HANDSHAKE_RATE": ["", "10", 10, "0/s", "10/d", "10/s, 1KiB/s", "1KiB/s", "10/s, 20/s"],
    "WEBSOCKET_TRUSTED_PROXIES": [None, "127.0.0.1", ["proxy.example"], ["10.0.0.1/8"], [1], [""]],
    "WEBSOCKET_REQUEST_TIMEOUT": [0, None],
    "WEBSOCKET_DRAIN_TIMEOUT": [-1, "30"],
    "WEBSOCKET_METRICS_ADDRESS": [
        "",
        9464,
        "9464",
        "localhost",
        "unix:/run/metrics",
        "http://localhost:9464",
        "::1:9464",
    ],
}

RIGHT: dict[str, list[object]] = {
    "WEBSOCKET_ACCEPT_ALL": [True],
    "WEBSOCKET_ALLOWED_ORIGINS": [None, [], ("*",), ["https://friend.example"]],
    "WEBSOCKET_SUBPROTOCOLS": [("chat",)],
    "WEBSOCKET_COMPRESSION": [True, "context-takeover"],
    "WEBSOCKET_SEND_TIMEOUT": [0.5],
    "WEBSOCKET_PING_INTERVAL": [None, 0, 0.5],
    "WEBSOCKET_RELEASE_DB_AFTER": [None, 0, 0.5],
    "WEBSOCKET_MAX_CONNECTIONS_PER_IP": [None, 50],
    "WEBSOCKET_RATE": [None, "50/s", "100KiB/s", "50/s, 1MiB/m"],
    "WEBSOCKET_RATE_ACTION": ["close"],
    "WEBSOCKET_HANDSHAKE_RATE": [None, "10/s", "300/m", "1000/h"],
    "WEBSOCKET_TRUSTED_PROXIES": [[], ("127.0.0.1", "10.0.0.0/8", "::1", "fd00::/8")],
    "WEBSOCKET_METRICS_ADDRESS": [None, "127.0.0.1:9464", "localhost:9464", "[::1]:9464", ":9464"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_wrong_values(name: str, value: object) -> None:
    assert not SETTINGS[name].is_valid(value)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in RIGHT.items() for value in values])
def test_right_values(name: str, value: object) -> None:
    assert SETTINGS[name].is_valid(value)


def test_settings_are_read_at_every_use(settings: Any) -> None:
    assert get_setting("WEBSOCKET_MAX_QUEUE") == 64
    settings.WEBSOCKET_MAX_QUEUE = 3
    assert get_setting("WEBSOCKET_MAX_QUEUE") == 3


def test_unknown_settings_are_no_settings() -> None:
    with pytest.raises(KeyError):
        get_setting("WEBSOCKET_COLOUR")


def test_options_are_checked_by_their_declaration() -> None:
    check_options({"max_queue": 1, "origins": ["*"], "subprotocols": ("chat",)})
    with pytest.raises(TypeError, match="unknown option 'accept_all'"):
        check_options({"accept_all": True})
    with pytest.raises(ValueError, match=r"origins must be None or a list of origins .*, not 'https://a\.b'"):
        check_options({"origins": "https://a.b"})


def test_options_are_the_settings_with_the_overrides_over_them(settings: Any) -> None:
    settings.WEBSOCKET_MAX_QUEUE = 3
    settings.WEBSOCKET_SUBPROTOCOLS = ["chat"]
    options = resolve_options({"max_message_size": 10, "origins": ["https://friend.example"]})
    assert options == Options(
        max_message_size=10,
        max_queue=3,
        max_outbox=1024 * 1024,
        send_timeout=10,
        close_timeout=10,
        rate=None,
        rate_action="pause",
        compression=False,
        subprotocols=("chat",),
        origins=("https://friend.example",),
        release_db_after=1,
    )
    # An option that says None is said.
    settings.WEBSOCKET_ALLOWED_ORIGINS = ["https://friend.example"]
    assert resolve_options({"origins": None}).origins is None
    assert resolve_options({}).origins == ("https://friend.example",)


@pytest.mark.parametrize("option", sorted(OPTIONS))
def test_every_option_has_its_effect(option: str) -> None:
    values: dict[str, object] = {"subprotocols": ["x"], "origins": ["x"], "compression": True, "rate": "7/s, 1KiB/m"}
    value = values.get(option, 7)
    resolved = getattr(resolve_options({option: value}), option)
    expected = Rate(Amount(7, 1), Amount(1024, 60)) if option == "rate" else value
    assert resolved == (tuple(value) if isinstance(value, list) else expected)


def test_sockets_of_one_view_share_their_options() -> None:
    assert resolve_options({"max_queue": 5}) is resolve_options({"max_queue": 5})
