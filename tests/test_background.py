"""Jobs run while a server serves, whichever of the two comes first."""

from __future__ import annotations

from collections.abc import Callable

from django_websocket.background import Background


class Spawned:
    def __init__(self, job: Callable[[], None]) -> None:
        self.job = job
        self.is_killed = False

    def kill(self) -> None:
        self.is_killed = True


def early() -> None:
    raise AssertionError("nothing of this test runs")


def late() -> None:
    raise AssertionError("nothing of this test runs")


def test_jobs_run_as_long_as_the_server() -> None:
    background = Background()
    spawned: list[Spawned] = []

    def spawn(job: Callable[[], None]) -> Spawned:
        one = Spawned(job)
        spawned.append(one)
        return one

    background.add(early)
    assert spawned == []
    with background.running(spawn):
        assert [one.job for one in spawned] == [early]
        background.add(late)
        assert [one.job for one in spawned] == [early, late]
        assert not any(one.is_killed for one in spawned)
    assert all(one.is_killed for one in spawned)
    with background.running(spawn):
        assert [one.job for one in spawned[2:]] == [early, late]
