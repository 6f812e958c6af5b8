"""The server: a socket of its own, so that port 0 finds a free one, and no log of who asked for what."""

import socket
from dataclasses import dataclass
from ipaddress import ip_address

import uvicorn

from tutelage.errors import TutelageError
from tutelage.studio.app import annotation_app
from tutelage.studio.door import Office

ENDING_S = 5


@dataclass(frozen=True, slots=True)
class Listening:
    """A server that is bound to an address and not yet started."""

    office: Office
    socket: socket.socket
    host: str

    @property
    def url(self) -> str:
        """Where it is reached from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.socket.getsockname()[1]}"

    @property
    def is_local(self) -> bool:
        """Whether this machine alone can reach it."""
        return ip_address(self.socket.getsockname()[0]).is_loopback

    def run(self) -> None:
        """Serve until a signal ends it; requests that have begun are answered first, for a few seconds."""
        config = uvicorn.Config(
            annotation_app(self.office),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=ENDING_S,
        )
        uvicorn.Server(config).run(sockets=[self.socket])


def listen(office: Office, host: str, port: int) -> Listening:
    """Bind an address. Raises :class:`TutelageError` for one that is taken or not this machine's."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.create_server((host, port), family=family)
    except (OSError, OverflowError, UnicodeError) as error:
        remedy = "take another port with --port (0: a free one), or an address of this machine with --host"
        raise TutelageError(
            "the page cannot listen there", where=f"{host}:{port}", received=str(error), remedy=remedy
        ) from error
    return Listening(office, bound, host)
