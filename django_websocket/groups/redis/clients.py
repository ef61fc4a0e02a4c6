"""Connections by redis-py: to one server, to the master that Sentinels name, or to the nodes of a Cluster."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import redis
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import parse_url
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from ...exceptions import GroupsUnavailable
from ..config import GroupsConfig
from ..round_trips import round_trips
from .scripts import Script

__all__ = ["MAX_CONNECTIONS", "Clients", "read_locations"]

MAX_CONNECTIONS = 32
"""Commands that a process has under way at a time; more wait for one of them to end."""

Call = tuple[Script, Sequence[str], Sequence[Any]]


def read_locations(config: GroupsConfig) -> list[str]:
    """Return the URLs of ``LOCATION``. Raises ImproperlyConfigured for what no connection can be made to."""
    urls = [config.location] if isinstance(config.location, str) else list(config.location)
    if not urls or not all(urls):
        raise ImproperlyConfigured("WEBSOCKET_GROUPS needs a LOCATION, such as redis://localhost:6379/0")
    if len(urls) > 1 and not (config.cluster or config.sentinel is not None):
        raise ImproperlyConfigured("WEBSOCKET_GROUPS: several LOCATIONs are for CLUSTER or SENTINEL")
    try:
        for url in urls:
            parse_url(url)
    except ValueError as error:
        raise ImproperlyConfigured(f"WEBSOCKET_GROUPS: {error}") from error
    return urls


class Clients:
    """Runs commands, each with one attempt and a timeout. Raises :exc:`.GroupsUnavailable` for whatever goes wrong."""

    def __init__(self, config: GroupsConfig) -> None:
        self._config = config
        self.is_cluster = config.cluster
        self._client: Any = None
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)

    # Making them

    @property
    def client(self) -> Any:
        """redis-py's client. Raises what redis-py raises: that of a Cluster asks it for its nodes."""
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = self._make()
        return self._client

    def _make(self) -> Any:
        config = self._config
        urls = read_locations(config)
        # redis-py's default of up to ten retries makes a command to a frozen server take many times its timeout.
        options: dict[str, Any] = {
            "socket_timeout": config.timeout,
            "socket_connect_timeout": config.timeout,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            **config.options,
        }
        try:
            if config.sentinel is not None:
                places = [parse_url(url) for url in urls]
                hosts = [(place.get("host", "localhost"), place.get("port", 26379)) for place in places]
                known = {key: value for key, value in places[0].items() if key in ("db", "username", "password")}
                sentinel = Sentinel(
                    hosts,
                    sentinel_kwargs={
                        "socket_timeout": config.timeout,
                        "socket_connect_timeout": config.timeout,
                        **options.pop("sentinel_kwargs", {}),
                    },
                    **known,
                    **options,
                )
                return sentinel.master_for(config.sentinel)
            if config.cluster:
                if len(urls) == 1:
                    return RedisCluster.from_url(urls[0], **options)
                places = [parse_url(url) for url in urls]
                nodes = [ClusterNode(place.get("host", "localhost"), place.get("port", 6379)) for place in places]
                return RedisCluster(startup_nodes=nodes, **options)
            return redis.Redis.from_url(urls[0], **options)
        except (ValueError, TypeError) as error:
            raise ImproperlyConfigured(f"WEBSOCKET_GROUPS: {error}") from error

    # Commands

    def execute(self, *command: Any) -> Any:
        """Run one command."""
        return self._run(lambda client: client.execute_command(*command))

    def call(self, script: Script, keys: Sequence[str], args: Sequence[Any] = ()) -> Any:
        """Run a script."""
        return self._run(lambda client: _call(client, (script, keys, args)))

    def call_all(self, calls: Sequence[Call]) -> list[Any]:
        """Run many scripts, in order."""
        if self.is_cluster:
            return [self._run(lambda client, call=call: _call(client, call)) for call in calls]
        results: list[Any] = self._run(lambda client: _call_all(client, calls)) if calls else []
        return results

    def _run(self, function: Any) -> Any:
        if not self._slots.acquire(timeout=self._config.timeout):
            raise GroupsUnavailable(f"{MAX_CONNECTIONS} commands to Redis are under way")
        began = time.monotonic()
        try:
            result = function(self.client)
            round_trips.succeeded += 1
            return result
        except (RedisError, OSError) as error:
            round_trips.failed += 1
            raise GroupsUnavailable(f"Redis: {str(error) or type(error).__name__}") from error
        finally:
            round_trips.seconds += time.monotonic() - began
            self._slots.release()

    # Connections of one's own

    def node_of(self, channel: str) -> str:
        """Where a channel is: the name of a Cluster's node, else an empty string."""
        if not self.is_cluster:
            return ""
        name: str = self.client.get_node_from_key(channel).name
        return name

    def learn_nodes(self) -> None:
        """Ask a Cluster again for its nodes and what is where."""
        if self.is_cluster:
            self.client.nodes_manager.initialize()

    def connect(self, node: str) -> Any:
        """Return a new connection, which is no part of a pool. Raises what redis-py raises."""
        client = self.client
        if self.is_cluster:
            found = client.get_node(node_name=node)
            if found is None:
                raise ConnectionError(f"{node} is no part of the cluster any more")
            client = client.get_redis_connection(found)
        pool = client.connection_pool
        connection = pool.connection_class(**pool.connection_kwargs)
        connection.connect()
        return connection

    def close(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            client.close()
            if not self.is_cluster:
                client.connection_pool.disconnect()


def _call(client: Any, call: Call) -> Any:
    script, keys, args = call
    try:
        return client.execute_command("EVALSHA", script.sha, len(keys), *keys, *args)
    except NoScriptError:
        return client.execute_command("EVAL", script.text, len(keys), *keys, *args)


def _call_all(client: Any, calls: Sequence[Call]) -> list[Any]:
    results: list[Any] = []
    for start in range(0, len(calls), 200):
        part = calls[start : start + 200]
        pipeline = client.pipeline(transaction=False)
        for script, keys, args in part:
            pipeline.execute_command("EVALSHA", script.sha, len(keys), *keys, *args)
        for call, result in zip(part, pipeline.execute(raise_on_error=False), strict=True):
            if isinstance(result, NoScriptError):
                results.append(_call(client, call))
            elif isinstance(result, Exception):
                raise result
            else:
                results.append(result)
    return results
