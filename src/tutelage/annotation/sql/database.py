"""One store's database: where it is, how it is opened, transactions that write and that read, its faults in words."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from tutelage.annotation.faults import AnnotationError
from tutelage.annotation.sql.migrations import MIGRATIONS, migrate, version_of
from tutelage.errors import MissingExtra, StorageError

BUSY_S = 60
"""How long a program waits for others to finish writing to a SQLite file."""


class Database:
    """A SQLite file (``annotations.db``) or a PostgreSQL database (``postgresql://user@host/name``).

    SQLite: write-ahead log, so that readers never wait; every transaction that writes takes the lock at its beginning,
    so that none fails half-way because another was quicker; ``synchronous=FULL``: what was confirmed is on the disk.
    The file must lie on a disk of this machine, for its log does not work over a network. PostgreSQL: READ COMMITTED
    with locks on rows; of a URL without a password, libpq finds it in ``PGPASSWORD`` or ``~/.pgpass``.
    """

    def __init__(self, place: str, *, create: bool = False) -> None:
        self.url = _url(place)
        self.place = str(self.url.database) if self.is_sqlite else _shown(self.url)
        if self.is_sqlite and not create and not Path(self.place).is_file():
            raise StorageError(
                "there is no annotation store", where=self.place, remedy="make one: tutelage annotate new"
            )
        self._engine = _sqlite_engine(self.url) if self.is_sqlite else _postgres_engine(self.url)
        try:
            self._open(create=create)
        except BaseException:
            self.close()
            raise

    def _open(self, *, create: bool) -> None:
        with self.read() as connection:
            version = version_of(connection)
        if version == 0 and not create:
            raise AnnotationError(
                "it is no annotation store", where=self.place, remedy="make one: tutelage annotate new"
            )
        if version != len(MIGRATIONS):
            with self.write() as connection:
                migrate(connection)
        if self.is_sqlite:
            self._keep_log()

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in a transaction that may write: committed at the end, undone on any error."""
        with self._faults(), self._engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection in a transaction that sees one state of the store."""
        with self._faults(), self._engine.connect() as connection:
            if not self.is_sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _keep_log(self) -> None:
        """Turn the write-ahead log on, for good: of a file that is a store, and of no other."""
        with self._faults(), self._engine.connect().execution_options(plain=True) as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            said = str(error.orig).strip().replace("\n", " ")
            what, remedy = next((w for words, w in _REFUSALS.items() if words in said), (said, ""))
            raise StorageError(what, where=self.place, received=said if what != said else "", remedy=remedy) from error


_REFUSALS = {
    "database or disk is full": ("the disk is full", "free some space, then run the same command again"),
    "attempt to write a readonly database": ("it is read-only", "check its permissions and those of its folder"),
    "unable to open database file": ("it cannot be opened", "check the path and the permissions of its folder"),
    "file is not a database": ("it is no database", "give the file of a store, or a path where none is yet"),
    "database disk image is malformed": ("the file is damaged", "take a copy of it from before"),
    "database is locked": ("another program has been writing to it all the time", "close that one, then try again"),
    "connection failed": ("the server cannot be reached", "check address, port, user, and that it is running"),
    "failed to resolve host": ("the server cannot be reached", "check its name"),
    "connection to server": ("the server cannot be reached", "check address, port, user, and that it is running"),
}


def _shown(url: URL) -> str:
    """The address as people write it, without its passwords: libpq takes them in the query too."""
    hidden = {name: "***" for name in url.query if "password" in name.lower()}
    url = url.update_query_dict(hidden)
    return url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)


def _url(place: str) -> URL:
    if "://" not in place:
        return URL.create("sqlite", database=str(Path(place)))
    try:
        url = make_url(place)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError) as error:
        remedy = "write postgresql://user@host/name"
        received = f"{place.partition(':')[0]}://..."  # what follows may be a password
        raise AnnotationError("the address of a database is not readable", received=received, remedy=remedy) from error
    if "@" in f"{url.host}{url.database}":
        remedy = "write an @ or / of a password as %40 or %2F, or leave the password to PGPASSWORD or ~/.pgpass"
        raise AnnotationError("the address of a database has an @ too many", received=f"{backend}://...", remedy=remedy)
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or not url.database or url.database == ":memory:":
        raise AnnotationError(
            "the store is a SQLite file or a PostgreSQL database",
            received=_shown(url),
            remedy="give a path, or postgresql://user@host/name",
        )
    return url.set(drivername="sqlite")


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_S})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where begin() below says, not where sqlite3 thinks
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("plain", False):
            return
        writes = options.get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres_engine(url: URL) -> Engine:
    try:
        return create_engine(url, pool_pre_ping=True, connect_args={"application_name": f"tutelage {os.getpid()}"})
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise MissingExtra("a store in PostgreSQL", "annotation") from error
