"""A hub on loopback: serves the files of data sets and takes what is pushed, as far as huggingface_hub asks for it."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

COMMIT = "c0ffee" * 6 + "abcd"
LARGE = 1 << 12
"""Files of more bytes are sent by themselves, as the hub does it with large ones."""


class Hub(ThreadingHTTPServer):
    """``datasets``: files of each data set, by name; ``pushed``: files that came, by repository; ``asked``: the method
    and path of every request; ``tokens``: what was sent to be let in."""

    daemon_threads = True

    def __init__(self, datasets: dict[str, dict[str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.datasets = datasets
        self.pushed: dict[str, dict[str, bytes]] = {}
        self.large: dict[str, bytes] = {}
        self.private: dict[str, bool] = {}
        self.commit = COMMIT
        self.asked: list[str] = []
        self.tokens: set[str] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def hub(**datasets: dict[str, bytes]) -> Iterator[Hub]:
    """A hub with the data sets ``owner/<name>``."""
    server = Hub({f"owner/{name}": files for name, files in datasets.items()})
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self._asked()
        parts = path.strip("/").split("/")
        files = self.server.datasets.get("/".join(parts[2:4] if parts[0] == "api" else parts[1:3]))
        if files is None:
            self._say(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif "/resolve/" in path:
            self._file(files.get(path.split("/resolve/")[1].partition("/")[2]))
        elif "/tree/" in path:
            self._json([_entry(name, content) for name, content in files.items()])
        elif "revision" in parts and parts[-1] not in (self.server.commit, "main"):
            self._say(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        else:
            names = [{"rfilename": name} for name in files]
            card = {"license": "cc-by-4.0"}
            self._json(
                {"id": "/".join(parts[2:4]), "sha": self.server.commit, "siblings": names, "cardData": card, "tags": []}
            )

    def do_POST(self) -> None:
        path = self._asked()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if path.endswith("/repos/create"):
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            self.server.private[name] = asked.get("private", asked.get("visibility") == "private")
            self._json({"url": f"{self.server.address}/{name}", "name": name})
        elif "/paths-info/" in path:
            files = self.server.datasets["/".join(path.split("/")[3:5])]
            wanted = parse_qs(body.decode())["paths"]
            self._json([_entry(name, files[name]) for name in wanted if name in files])
        elif "/preupload/" in path:
            modes = [(one["path"], "lfs" if one["size"] > LARGE else "regular") for one in json.loads(body)["files"]]
            self._json({"files": [{"path": at, "uploadMode": mode, "shouldIgnore": False} for at, mode in modes]})
        elif path.endswith("/objects/batch"):
            objects = [
                one | {"actions": {"upload": {"href": f"{self.server.address}/large/{one['oid']}", "header": {}}}}
                for one in json.loads(body)["objects"]
            ]
            self._json({"transfer": "basic", "objects": objects})
        elif "/commit/" in path:
            self._commit("/".join(path.split("/")[3:5]), [json.loads(line) for line in body.splitlines() if line])
        else:
            self._say(404, b"{}")

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        name = self._asked().rpartition("/")[2]
        assert hashlib.sha256(content).hexdigest() == name
        self.server.large[name] = content
        self._say(200, b"")

    def _commit(self, repository: str, lines: list[dict[str, Any]]) -> None:
        files = self.server.pushed.setdefault(repository, {})
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
        address = f"{self.server.address}/{repository}/commit/{COMMIT}"
        self._json({"commitUrl": address, "commitOid": COMMIT, "success": True})

    def _asked(self) -> str:
        path = unquote(urlparse(self.path).path)
        self.server.asked.append(f"{self.command} {path}")
        if token := self.headers.get("Authorization"):
            self.server.tokens.add(token)
        return path

    def _file(self, content: bytes | None) -> None:
        if content is None:
            self._say(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        etag = f'"{hashlib.sha1(content).hexdigest()}"'
        self._say(200, content, {"ETag": etag, "X-Repo-Commit": self.server.commit})

    def _json(self, value: object) -> None:
        self._say(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _say(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _entry(name: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
