"""Writers to SQLite take turns."""

import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from store.engine import API_PATIENCE, Database, Patience, create_engine
from store.errors import DatabaseUnavailable

ROUNDS = 6


def _together(database: Database, threads: int, seconds: float) -> tuple[list[Exception], list[float]]:
    """Let threads hold the write lock so long each, again and again; give what they were told, and after how long."""
    told: list[Exception] = []
    waited: list[float] = []

    def write() -> None:
        for _ in range(ROUNDS):
            began = time.monotonic()
            try:
                with database.write() as connection:
                    waited.append(time.monotonic() - began)
                    connection.execute(text("CREATE TABLE IF NOT EXISTS one (a INTEGER)"))
                    time.sleep(seconds)
            except DatabaseUnavailable as error:
                told.append(error)
                waited.append(time.monotonic() - began)

    running = [threading.Thread(target=write) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return told, waited


def test_no_thread_of_many_that_write_starves(tmp_path: Path) -> None:
    """SQLite alone lets whoever looks at the right moment write: among sixteen some would look in vain for longer than they wait."""
    patience = Patience(busy_seconds=2.0, connections=20)
    database = Database(create_engine(f"sqlite:///{tmp_path}/a.db", patience))
    told, waited = _together(database, threads=16, seconds=0.05)
    database.dispose()
    assert told == []
    assert len(waited) == 16 * ROUNDS


def test_a_file_that_another_process_holds_is_told_of_to_every_thread(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    database, other = Database(create_engine(url, API_PATIENCE)), Database(create_engine(url))
    with other.write() as connection:
        connection.execute(text("CREATE TABLE two (a INTEGER)"))
        told, waited = _together(database, threads=3, seconds=0.0)
    assert len(told) == len(waited) == 3 * ROUNDS
    with database.write() as connection:
        connection.execute(text("CREATE TABLE three (a INTEGER)"))
    database.dispose()
    other.dispose()


def test_who_waited_for_other_threads_waits_less_for_other_processes(tmp_path: Path) -> None:
    """Both together are what a request may wait."""
    database = Database(create_engine(f"sqlite:///{tmp_path}/a.db", API_PATIENCE))
    asks, left = threading.Event(), []

    def write() -> None:
        asks.set()
        with database.write() as connection:
            left.append(connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one())

    second = threading.Thread(target=write)
    with database.write():
        second.start()
        asks.wait()
        time.sleep(0.7)
    second.join()
    database.dispose()
    [milliseconds] = left
    assert 500 <= milliseconds < API_PATIENCE.busy_seconds * 1000 - 300


def test_a_turn_is_handed_on_by_whoever_fails(tmp_path: Path) -> None:
    database = Database(create_engine(f"sqlite:///{tmp_path}/a.db"))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), database.write():
            raise ZeroDivisionError
    database.dispose()
