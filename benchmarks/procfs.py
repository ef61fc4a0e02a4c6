"""What a server costs, read from /proc: processor time and memory of a process and all its descendants.

A server is started as the leader of its own session, so its tree is every process of that session, even if an
intermediate process has exited.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

# Places in /proc/<pid>/stat, counted after the command's closing parenthesis (proc(5): state is number 3 there).
_SESSION, _USER, _SYSTEM = 3, 11, 12


class ProcessorTime(NamedTuple):
    """Seconds of processor time."""

    user: float
    system: float

    def since(self, earlier: ProcessorTime) -> ProcessorTime:
        """What was used between ``earlier`` and this."""
        return ProcessorTime(self.user - earlier.user, self.system - earlier.system)


class Memory(NamedTuple):
    """Bytes of resident memory: all of it, and with each shared page divided among those who share it."""

    rss: int
    pss: int


def _stat_fields(pid: int) -> list[str] | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return stat[stat.rindex(")") + 2 :].split()


def session_pids(session: int) -> list[int]:
    """The processes of one session, which are a server with all its workers."""
    pids = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = _stat_fields(int(entry))
            if fields is not None and int(fields[_SESSION]) == session and fields[0] != "Z":
                pids.append(int(entry))
    return pids


def processor_time(pids: Sequence[int]) -> ProcessorTime:
    """The sum over ``pids``; a process that has gone counts nothing."""
    user = system = 0
    for pid in pids:
        fields = _stat_fields(pid)
        if fields is not None:
            user += int(fields[_USER])
            system += int(fields[_SYSTEM])
    return ProcessorTime(user / TICKS_PER_SECOND, system / TICKS_PER_SECOND)


def memory(pids: Sequence[int]) -> Memory:
    """The sum over ``pids``; a process that has gone counts nothing."""
    rss = pss = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for line in rollup.splitlines():
            if line.startswith("Rss:"):
                rss += int(line.split()[1]) * 1024
            elif line.startswith("Pss:"):
                pss += int(line.split()[1]) * 1024
    return Memory(rss, pss)


def listens(session: int, port: int) -> bool:
    """Whether a process of ``session`` has a TCP socket that listens on ``port``, be it alone there or not."""
    # proc(5): sl local_address rem_address st tx_queue:rx_queue tr:tm retrnsmt uid timeout inode; 0A is LISTEN.
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = {f"socket:[{x[9]}]" for x in lines if x[3] == "0A" and int(x[1].rpartition(":")[2], 16) == port}
    for pid in session_pids(session) if ours else ():
        try:
            if any(os.readlink(f"/proc/{pid}/fd/{fd}") in ours for fd in os.listdir(f"/proc/{pid}/fd")):
                return True
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has gone, or it is not of ours: one may not look into the processes of other users
    return False


def core_time(core: int) -> float:
    """Seconds for which a core was busy, with whatever, since the machine started."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            # proc(5): user nice system idle iowait irq softirq steal; guest time is in user time already.
            ticks = [int(field) for field in line.split()[1:9]]
            return (sum(ticks) - ticks[3] - ticks[4]) / TICKS_PER_SECOND
    raise LookupError(f"no core {core}")
