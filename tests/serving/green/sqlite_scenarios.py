"""What happens to connections to SQLite in a patched process: ``python -m ... NAME DATABASE JOURNAL_MODE``.

Each scenario is a function that ends, or raises.
"""

from __future__ import annotations

from django_websocket.serving.patch import eventlet, patch

patch()

import sqlite3  # noqa: E402  the patch comes first
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from typing import Any  # noqa: E402

from django_websocket.serving.green.sqlite.queues import queues  # noqa: E402

PATIENT = 60.0
"""Seconds that nobody waits in a scenario that goes right."""

SCENARIOS: dict[str, Callable[[], None]] = {}
path = mode = ""

FOREIGN = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
for line in sys.stdin:
    connection.execute(line)
    print("done", flush=True)
"""


def scenario(function: Callable[[], None]) -> Callable[[], None]:
    SCENARIOS[function.__name__] = function
    return function


def connect(timeout: float = PATIENT, **options: Any) -> sqlite3.Connection:
    options.setdefault("isolation_level", None)
    connection: sqlite3.Connection = sqlite3.connect(path, timeout=timeout, **options)
    return connection


def values() -> list[Any]:
    with_values = connect()
    found = [value for (value,) in with_values.execute("SELECT value FROM entries ORDER BY id")]
    with_values.close()
    return found


def insert(connection: Any, value: object) -> Any:
    return connection.execute("INSERT INTO entries (value) VALUES (?)", (value,))


def in_transaction(connection: sqlite3.Connection) -> bool:
    return connection.in_transaction


def fails_locked(attempt: Callable[[], object], *, after: float = 0, before: float = PATIENT / 2) -> sqlite3.Error:
    """``attempt`` is refused, so many seconds later."""
    began = time.monotonic()
    try:
        attempt()
    except sqlite3.OperationalError as error:
        took = time.monotonic() - began
        met = error
    else:
        raise AssertionError("nothing was locked")
    assert after <= took < before, took
    assert "locked" in str(met), met
    return met


def until(condition: Callable[[], bool]) -> None:
    with eventlet.Timeout(PATIENT / 2):
        while not condition():
            eventlet.sleep(0.001)


def waiting(count: int) -> Callable[[], bool]:
    """Whether so many wait."""
    return lambda: sum(len(queue.in_turn) + len(queue.beside) for queue in queues.values()) == count


class Foreign:
    """A process that holds the lock to write."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", FOREIGN, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._line() == "locked\n"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def do(self, sql: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(sql + "\n")
        self._process.stdin.flush()
        assert self._line() == "done\n"

    def end(self) -> None:
        self._process.communicate()
        assert self._process.returncode == 0


@contextmanager
def foreign_lock() -> Iterator[Foreign]:
    foreign = Foreign()
    try:
        yield foreign
    finally:
        foreign.end()


@scenario
def writers_come_in_order() -> None:
    holder = connect()
    holder.execute("BEGIN IMMEDIATE")

    def write(number: int) -> None:
        connection = connect()
        connection.execute("BEGIN")
        insert(connection, number)
        eventlet.sleep(0.002)
        connection.execute("COMMIT")
        connection.close()

    writers = []
    for number in range(20):
        writers.append(eventlet.spawn(write, number))
        until(waiting(number + 1))
    holder.execute("ROLLBACK")
    insert(holder, "who held it comes after them")
    for writer in writers:
        writer.wait()
    assert values() == [*range(20), "who held it comes after them"]


@scenario
def statements_by_themselves_come_in_order() -> None:
    holder = connect()
    holder.execute("BEGIN EXCLUSIVE")

    def write(number: int) -> None:
        connection = connect()
        sql = "INSERT INTO entries (value) VALUES (?), (?) RETURNING value"
        cursor = connection.execute(sql, (number, -number))
        assert not connection.in_transaction
        assert cursor.rowcount == 2
        assert cursor.lastrowid
        assert [cursor.fetchone(), *cursor.fetchmany(), *cursor.fetchall(), cursor.fetchone()] == [
            (number,),
            (-number,),
            None,
        ]
        connection.close()

    writers = []
    for number in range(10):
        writers.append(eventlet.spawn(write, number))
        until(waiting(number + 1))
    holder.execute("COMMIT")
    for writer in writers:
        writer.wait()
    assert values() == [each for number in range(10) for each in (number, -number)]


@scenario
def other_processes_are_waited_for() -> None:
    with foreign_lock() as foreign:
        done = []

        def write() -> None:
            connection = connect()
            insert(connection, "ours")
            connection.close()
            done.append(True)

        writer = eventlet.spawn(write)
        until(waiting(1))
        foreign.do("INSERT INTO entries (value) VALUES ('theirs')")
        assert not done
        foreign.do("COMMIT")
        writer.wait()
    assert values() == ["theirs", "ours"]


@scenario
def the_timeout_is_kept() -> None:
    with foreign_lock():
        for isolation_level in (None, "", "IMMEDIATE"):
            connection = connect(0.3, isolation_level=isolation_level)
            fails_locked(lambda: insert(connection, 1), after=0.3)  # noqa: B023  called at once
            connection.rollback()
            connection.close()
        connection = connect(0.3)
        fails_locked(lambda: connection.execute("BEGIN IMMEDIATE"), after=0.3)
        fails_locked(lambda: connection.execute("CREATE TABLE others (id)"), after=0.3)
        fails_locked(lambda: connection.executemany("INSERT INTO entries (value) VALUES (?)", [(1,)]), after=0.3)
        fails_locked(lambda: connection.executescript("INSERT INTO entries (value) VALUES (1)"), after=0.3)
        assert connection.execute("PRAGMA busy_timeout").fetchall() == [(300,)]
        assert connection.execute("PRAGMA busy_timeout = 600").fetchall() == [(600,)]
        fails_locked(lambda: insert(connection, 1), after=0.6)
        assert connection.execute("pragma main.busy_timeout(0);").fetchall() == [(0,)]
        fails_locked(lambda: insert(connection, 1))
        # Those who stand behind somebody more patient, too.
        patient = eventlet.spawn(insert, connect(), "patient")
        until(waiting(1))
        impatient = connect(0.3)
        fails_locked(lambda: insert(impatient, 1), after=0.3)
        assert waiting(1)()
    patient.wait()
    assert not queues
    assert values() == ["patient"]


@scenario
def a_deadlock_is_told_at_once() -> None:
    insert(connect(), 1)
    reader, writer = connect(), connect()
    reader.execute("BEGIN")
    reader.execute("SELECT value FROM entries").fetchall()
    writer.execute("BEGIN IMMEDIATE")
    fails_locked(lambda: insert(reader, 2))
    fails_locked(lambda: reader.executemany("INSERT INTO entries (value) VALUES (?)", [(2,)]))
    fails_locked(lambda: reader.execute("CREATE TABLE others (id)"))
    insert(writer, 3)
    if mode == "wal":
        writer.execute("COMMIT")
        error = fails_locked(lambda: insert(reader, 2))
        assert error.sqlite_errorname == "SQLITE_BUSY_SNAPSHOT"
    reader.execute("ROLLBACK")
    if mode != "wal":
        writer.execute("COMMIT")
    # Outside of a transaction, a statement that has rows to give is one.
    rows = reader.execute("SELECT value FROM entries")
    rows.fetchone()
    writer.execute("BEGIN IMMEDIATE")
    fails_locked(lambda: insert(reader, 2))
    fails_locked(lambda: reader.execute("BEGIN IMMEDIATE"))
    assert rows.fetchall() == [(3,)]
    other = eventlet.spawn(insert, reader, 4)
    until(waiting(1))
    writer.execute("COMMIT")
    other.wait()
    assert values() == [1, 3, 4]


@scenario
def a_failed_statement_may_hold_a_lock() -> None:
    first, second = connect(), connect()
    first.execute("CREATE TABLE single (id UNIQUE)")
    first.execute("INSERT INTO single VALUES (1)")
    first.execute("BEGIN")
    try:
        first.execute("INSERT INTO single VALUES (1)")
    except sqlite3.IntegrityError:
        pass
    other = eventlet.spawn(insert, second, "second")
    until(waiting(1))
    insert(first, "first")  # and not after the other one, which waits for it
    first.execute("COMMIT")
    other.wait()
    assert values() == ["first", "second"]


@scenario
def what_takes_no_lock_makes_no_deadlock() -> None:
    holder, connection = connect(), connect()
    holder.execute("BEGIN IMMEDIATE")
    connection.execute("BEGIN")
    connection.execute("SELECT 1").fetchall()
    connection.execute("SAVEPOINT point")
    other = eventlet.spawn(insert, connection, 1)
    until(waiting(1))
    holder.execute("ROLLBACK")
    other.wait()
    connection.execute("RELEASE point")
    connection.execute("COMMIT")
    assert values() == [1]


@scenario
def a_commit_waits_for_readers() -> None:
    insert(connect(), 0)
    commits: list[Callable[[Any], object]] = [
        lambda connection: connection.execute("COMMIT"),
        lambda connection: connection.execute("RELEASE point"),
        lambda connection: connection.commit(),
        lambda connection: connection.__exit__(None, None, None),
        lambda connection: setattr(connection, "isolation_level", None),
        lambda connection: connection.executescript("INSERT INTO entries (value) VALUES ('script')"),
    ]
    for commit in commits:
        reader, writer = connect(), connect(isolation_level="")
        reader.execute("BEGIN")
        reader.execute("SELECT value FROM entries").fetchall()
        if commit is commits[1]:
            writer.execute("SAVEPOINT point")
        insert(writer, 1)
        committer = eventlet.spawn(commit, writer)
        if mode != "wal":
            until(waiting(1))
            newcomer = eventlet.spawn(values)
            until(waiting(2))
            reader.execute("ROLLBACK")
            assert newcomer.wait()[1] == 1
        committer.wait()
        assert not writer.in_transaction
        writer.close()
        reader.close()
    assert values() == [0, *[1] * len(commits), "script"]
    if mode != "wal":
        reader, writer = connect(), connect(0.3)
        reader.execute("BEGIN")
        reader.execute("SELECT value FROM entries").fetchall()
        fails_locked(lambda: insert(writer, 2), after=0.3)
        assert not in_transaction(writer)
        writer.execute("BEGIN")
        insert(writer, 2)
        fails_locked(writer.commit, after=0.3)
        assert in_transaction(writer)
        reader.close()
        writer.commit()
        assert values()[-1] == 2


@scenario
def a_statement_by_itself_waits_for_readers() -> None:
    insert(connect(), 0)
    statements: list[Callable[[Any], object]] = [
        lambda connection: insert(connection, 1),
        lambda connection: connection.execute("INSERT INTO entries (value) VALUES (1) RETURNING id").fetchone(),
        lambda connection: connection.executemany("INSERT INTO entries (value) VALUES (?)", iter([(1,)])),
        lambda connection: connection.executescript("INSERT INTO entries (value) VALUES (1);"),
        lambda connection: connection.execute(
            "/* -- */ WITH new AS (SELECT 1 AS one) INSERT INTO entries (value) SELECT one FROM new RETURNING id"
        ).fetchall(),
    ]
    for statement in statements:
        reader, writer = connect(), connect()
        own = writer.execute("SELECT value FROM entries")  # which the reading connection itself doesn't mind
        own.fetchone()
        reader.execute("BEGIN")
        reader.execute("SELECT value FROM entries").fetchall()
        write = eventlet.spawn(statement, writer)
        if mode != "wal":
            until(waiting(1))
        reader.execute("ROLLBACK")
        write.wait()
        assert not writer.in_transaction
        own.close()
        writer.close()
    assert values() == [0, *[1] * len(statements)]


@scenario
def a_statement_by_itself_fails_as_ever() -> None:
    """Also where it is run in a transaction made for it."""
    connect().executescript(
        "CREATE TABLE single (id UNIQUE); CREATE TABLE child (parent REFERENCES entries DEFERRABLE INITIALLY DEFERRED)"
    )
    for sql in ("INSERT INTO single VALUES (1), (1)", "INSERT OR ROLLBACK INTO single VALUES (1), (1)",
                "INSERT INTO child VALUES (99)"):  # fmt: skip
        holder, connection = connect(), connect()
        connection.execute("PRAGMA foreign_keys = ON")
        holder.execute("BEGIN IMMEDIATE")

        def attempt() -> None:
            try:
                connection.execute(sql)  # noqa: B023  waited for below
            except sqlite3.IntegrityError:
                assert not connection.in_transaction  # noqa: B023
            else:
                raise AssertionError(sql)  # noqa: B023

        attempting = eventlet.spawn(attempt)
        until(waiting(1))
        holder.execute("ROLLBACK")
        attempting.wait()
    assert connect().execute("SELECT * FROM single").fetchall() == []


@scenario
def many_rows_are_written_once() -> None:
    for isolation_level in (None, ""):
        connection, holder = connect(isolation_level=isolation_level), connect()

        def rows() -> Iterator[tuple[int]]:
            for number in range(4):
                if number == 2 and not connection.in_transaction:  # noqa: B023  called at once
                    holder.execute("BEGIN IMMEDIATE")  # noqa: B023
                    eventlet.spawn_after(0.05, holder.execute, "COMMIT")  # noqa: B023
                yield (number,)

        cursor = connection.executemany("INSERT INTO entries (value) VALUES (?)", rows())
        assert cursor.rowcount == 4, cursor.rowcount
        assert connection.in_transaction == (isolation_level == "")
        connection.commit()
        cursor.execute("UPDATE entries SET value = value WHERE value = 0")
        assert cursor.rowcount == (1 if isolation_level is None else 2)
        connection.commit()
        assert connection.executemany("DELETE FROM entries WHERE value = ?", ()).rowcount in (-1, 0)
    assert values() == [0, 1, 2, 3] * 2
    with foreign_lock() as foreign:
        connection = connect(isolation_level="")
        write = eventlet.spawn(connection.executemany, "INSERT INTO entries (value) VALUES (?)", iter([(4,), (5,)]))
        until(waiting(1))
        foreign.do("COMMIT")
        assert write.wait().rowcount == 2
        connection.commit()
    assert values()[-2:] == [4, 5]


@scenario
def a_script_goes_on_where_it_met_a_lock() -> None:
    script = """
        CREATE TABLE log (value); -- a comment; with a semicolon
        CREATE TRIGGER logging AFTER INSERT ON entries BEGIN
            INSERT INTO log VALUES (new.value);
            INSERT INTO log VALUES ('a;b');
        END;
        BEGIN;
        INSERT INTO entries (value) VALUES (1) RETURNING id;
        SELECT hold();
        COMMIT;
        SELECT value FROM entries;
        INSERT INTO entries (value) VALUES (2)
    """
    for isolation_level in (None, "", "EXCLUSIVE"):
        connection, holder = connect(isolation_level=isolation_level), connect()

        def hold() -> None:
            # Called inside the script's transaction; the lock is taken when that is over.
            def lock() -> None:
                holder.execute("BEGIN IMMEDIATE")  # noqa: B023  called before the next turn
                eventlet.sleep(0.05)
                holder.execute("COMMIT")  # noqa: B023

            eventlet.spawn(lock)
            eventlet.sleep(0.01)

        connection.create_function("hold", 0, hold)
        connection.executescript(script)
        assert connection.isolation_level == isolation_level
        assert connection.execute("SELECT value FROM log").fetchall() == [(1,), ("a;b",), (2,), ("a;b",)]
        assert not connection.in_transaction
        connection.executescript("DROP TABLE log; DROP TRIGGER logging")
        connection.close()
    assert values() == [1, 2] * 3


@scenario
def who_is_ended_leaves_the_queue() -> None:
    holder = connect()
    holder.execute("BEGIN IMMEDIATE")
    killed, patient = (eventlet.spawn(insert, connect(), value) for value in ("killed", "patient"))
    until(waiting(2))

    def give_up() -> None:
        try:
            with eventlet.Timeout(0.05):
                insert(connect(), "late")
        except eventlet.Timeout:
            return
        raise AssertionError("nothing was locked")

    give_up()
    assert waiting(2)()
    killed.kill()
    assert waiting(1)()
    holder.execute("COMMIT")
    patient.wait()
    assert values() == ["patient"]
    assert not queues
    # One that is ended while it commits takes back what it did.
    if mode != "wal":
        holder.execute("BEGIN")
        holder.execute("SELECT value FROM entries").fetchall()
        connection = connect()
        killed = eventlet.spawn(insert, connection, "killed")
        until(waiting(1))
        killed.kill()
        assert not connection.in_transaction
        holder.execute("COMMIT")
        assert values() == ["patient"]


@scenario
def a_deadlock_in_one_greenlet_ends() -> None:
    first, second = connect(), connect(0.3)
    first.execute("BEGIN IMMEDIATE")
    fails_locked(lambda: insert(second, 1), after=0.3)


@scenario
def native_threads_wait_as_ever() -> None:
    from eventlet import tpool

    shared = connect(check_same_thread=False)
    kinds = []

    def use(value: object) -> None:
        own = connect()
        kinds.append(type(own))
        insert(own, value)
        own.close()
        insert(shared, value)

    holder = connect()
    holder.execute("BEGIN IMMEDIATE")
    eventlet.spawn_after(0.1, holder.execute, "COMMIT")
    tpool.execute(use, "thread")
    assert kinds == [sqlite3.Connection]
    assert values() == ["thread", "thread"]
    assert not queues


@scenario
def the_hub_itself_waits_as_ever() -> None:
    with foreign_lock() as foreign:
        errors: list[object] = []

        def on_the_hub() -> None:
            errors.append(fails_locked(lambda: insert(connect(0.1), 1), after=0.1))

        eventlet.hubs.get_hub().schedule_call_global(0, on_the_hub)
        until(lambda: bool(errors))
        foreign.do("COMMIT")


@scenario
def factories_are_honoured() -> None:
    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, *parameters: Any) -> Any:
            return super().execute(sql.replace("ENTRIES", "entries"), *parameters)

    class Connection(sqlite3.Connection):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.row_factory = sqlite3.Row

        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

    with foreign_lock() as foreign:
        connection: Any = connect(factory=Connection)
        assert isinstance(connection, Connection)
        assert type(connection).__name__ == "Connection"
        write = eventlet.spawn(connection.execute, "INSERT INTO ENTRIES (value) VALUES (1) RETURNING value")
        until(waiting(1))
        foreign.do("COMMIT")
        cursor = write.wait()
        assert isinstance(cursor, Cursor)
        [row] = cursor
        assert row["value"] == 1
    function: Any = lambda *_, **__: Connection(path)  # noqa: E731  no class
    assert isinstance(sqlite3.connect(path, factory=function), Connection)
    for wrong in ("SELECT 1, 2 FROM", b"SELECT 1", None, 1):
        plain: Any = connect()
        for method in (plain.execute, plain.executescript, plain.executemany):
            try:
                method(wrong, *[()] * (method == plain.executemany))
            except (TypeError, sqlite3.Error):
                continue
            raise AssertionError((method, wrong))
    cursor.execute("DELETE FROM entries RETURNING id")
    cursor.close()
    try:
        cursor.fetchone()
    except sqlite3.ProgrammingError:
        pass
    else:
        raise AssertionError("closed, and gives rows")


@scenario
def statements_in_progress_are_no_lock() -> None:
    connection = connect()
    connection.execute("BEGIN")
    cursor = connection.execute("INSERT INTO entries (value) VALUES (1), (2) RETURNING id")
    try:
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        message = str(error)
    else:
        raise AssertionError("SQLite has become more lenient")
    assert "in progress" in message, message
    cursor.fetchall()
    connection.execute("COMMIT")


@scenario
def shared_caches_refuse_at_once() -> None:
    options: Any = {"uri": True, "isolation_level": None, "timeout": PATIENT}
    first, second = (sqlite3.connect("file:shared?mode=memory&cache=shared", **options) for _ in range(2))
    first.execute("CREATE TABLE entries (id INTEGER PRIMARY KEY, value)")
    first.execute("BEGIN IMMEDIATE")
    insert(first, 1)
    error = fails_locked(lambda: insert(second, 2))
    assert (error.sqlite_errorcode & 0xFF) == sqlite3.SQLITE_LOCKED


@scenario
def attached_databases_are_waited_for() -> None:
    other = f"{path}-other"
    holder = sqlite3.connect(other, isolation_level=None)
    holder.execute("CREATE TABLE others (id)")
    holder.execute("BEGIN IMMEDIATE")
    connection = connect()
    connection.execute("ATTACH ? AS other", (other,))
    connection.execute("BEGIN")
    insert(connection, 1)
    write = eventlet.spawn(connection.execute, "INSERT INTO others VALUES (1)")
    until(waiting(1))
    holder.execute("COMMIT")
    write.wait()
    connection.execute("COMMIT")
    assert values() == [1]


@scenario
def a_backup_lets_others_run() -> None:
    connect().executemany("INSERT INTO entries (value) VALUES (?)", [("x" * 1000,)] * 400)
    source, target, holder = connect(), sqlite3.connect(f"{path}-copy"), connect()
    if mode != "wal":
        holder.execute("BEGIN EXCLUSIVE")
        eventlet.spawn_after(0.1, holder.execute, "COMMIT")
    beats: list[float] = []

    def beat() -> None:
        while True:
            beats.append(time.monotonic())
            eventlet.sleep(0)

    beating = eventlet.spawn(beat)
    steps: list[tuple[int, int, int]] = []
    source.backup(target, pages=5, progress=lambda *step: steps.append(step), sleep=0.01)
    beating.kill()
    assert len(steps) > 10
    assert len(beats) > 10
    assert target.execute("SELECT count(*) FROM entries").fetchall() == [(400,)]
    assert [line for line in source.iterdump() if "CREATE" in line]


@scenario
def blobs_wait() -> None:
    insert(connect(), b"12345")
    with foreign_lock() as foreign:
        connection = connect()
        opening = eventlet.spawn(connection.blobopen, "entries", "value", 1)
        until(waiting(1))
        foreign.do("COMMIT")
        with opening.wait() as blob:
            blob.write(b"abc")
    assert values() == [b"abc45"]


@scenario
def the_modes_of_python_3_12_wait() -> None:
    if not hasattr(sqlite3.Connection, "autocommit"):
        return
    insert(connect(), 0)
    for autocommit in (False, True):
        options: Any = {"timeout": PATIENT, "autocommit": autocommit}
        connection: Any = sqlite3.connect(path, **options)
        with foreign_lock() as foreign:
            write = eventlet.spawn(insert, connection, 1)
            until(waiting(1))
            foreign.do("COMMIT")
            write.wait()
        assert connection.in_transaction is not autocommit
        reader = connect()
        if mode != "wal" and not autocommit:
            reader.execute("BEGIN")
            reader.execute("SELECT value FROM entries").fetchall()
            commit = eventlet.spawn(connection.commit)
            until(waiting(1))
            reader.execute("COMMIT")
            commit.wait()
        connection.autocommit = True
        connection.close()
    assert values() == [0, 1, 1]


def main(name: str, database: str, journal_mode: str) -> None:
    global path, mode
    path, mode = database, journal_mode
    connection = connect()
    assert connection.execute(f"PRAGMA journal_mode = {mode}").fetchone() == (mode,)
    connection.execute("CREATE TABLE entries (id INTEGER PRIMARY KEY, value)")
    connection.close()
    SCENARIOS[name]()
    assert not queues, queues


if __name__ == "__main__":
    main(*sys.argv[1:])
