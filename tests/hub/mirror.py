"""A hub on a loopback socket: the paths, headers and errors that huggingface_hub meets, and faults on demand.

GET  /api/models/{repo}/revision/{revision}          commit and files, large ones with their SHA-256
HEAD /{repo}/resolve/{revision}/{path}               X-Repo-Commit, ETag, X-Linked-Size; large files: a redirect
GET  /cdn/{sha256}                                   the bytes, from any offset (Range)
"""

import hashlib
import json
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LARGE = 100_000
"""Bytes above which a file counts as large (LFS), and is fetched from the CDN."""


class Mirror:
    """Repositories: `mirror.add("org/name", {"path": bytes}, revision="main")`."""

    def __init__(self, url):
        self.url = url
        # Another host, as with the real one: it must not get the token, and newer clients follow redirects to their
        # own.
        self.cdn = url.replace("127.0.0.1", "localhost")
        self.commits = {}
        self.refs = {}
        self.requests = []
        self.token = ""
        self.gated = set()
        self.cut_after = {}
        self.damaged = set()
        self.stalled = threading.Event()
        self.stalled.set()
        self.stalls_at = ("", threading.Event())

    def add(self, repo, files, revision="main"):
        commit = hashlib.sha1(repr((repo, sorted(files), len(self.commits))).encode()).hexdigest()
        self.commits[repo, commit] = dict(files)
        self.refs[repo, revision] = commit
        return commit

    def stall_at(self, prefix):
        """Answer nothing under `prefix` until `stalled` is set; give an event that tells of the first request."""
        self.stalled.clear()
        self.stalls_at = (prefix, threading.Event())
        return self.stalls_at[1]

    def find(self, repo, revision):
        commit = self.refs.get((repo, revision), revision)
        return commit, self.commits.get((repo, commit))

    def repos(self):
        return {repo for repo, _ in self.commits}

    @property
    def fetched(self):
        """Paths whose bytes were asked for."""
        return [path for method, path, _ in self.requests if method == "GET" and not path.startswith("/api/")]


def digest(content):
    return hashlib.sha256(content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement

    def log_message(self, *_):
        pass

    @property
    def mirror(self):
        return self.server.mirror

    def do_HEAD(self):
        self._route()

    def do_GET(self):
        self._route()

    def _route(self):
        path = unquote(urlsplit(self.path).path)
        self.mirror.requests.append((self.command, path, dict(self.headers)))
        prefix, asked = self.mirror.stalls_at
        if path.startswith(prefix):
            if not self.mirror.stalled.is_set():
                asked.set()
            self.mirror.stalled.wait(30)
        if path.startswith("/cdn/"):
            self._bytes(path.removeprefix("/cdn/"))
        elif path.startswith("/api/models/"):
            repo, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            self._listing(repo, revision)
        else:
            repo, _, rest = path[1:].partition("/resolve/")
            revision, _, name = rest.partition("/")
            self._file(repo, revision, name)

    def _allowed(self, repo):
        if self.mirror.token and self.headers.get("Authorization") != f"Bearer {self.mirror.token}":
            return self._error(401, "RepoNotFound")
        if repo not in self.mirror.repos():
            return self._error(404, "RepoNotFound")
        return True

    def _listing(self, repo, revision):
        if not self._allowed(repo):
            return
        commit, files = self.mirror.find(repo, revision)
        if files is None:
            self._error(404, "RevisionNotFound")
            return
        siblings = []
        for path, content in files.items():
            one = {"rfilename": path, "size": len(content), "blobId": hashlib.sha1(content).hexdigest()}
            if len(content) > LARGE:
                one["lfs"] = {"sha256": digest(content), "size": len(content), "pointerSize": 134}
            siblings.append(one)
        facts = {"private": bool(self.mirror.token), "gated": False, "downloads": 1, "likes": 1, "tags": []}
        facts |= {"_id": "1", "id": repo, "modelId": repo, "author": repo.partition("/")[0], "sha": commit}
        body = json.dumps(facts | {"siblings": siblings}).encode()
        self._send(200, body, {"Content-Type": "application/json"})

    def _file(self, repo, revision, name):
        if not self._allowed(repo):
            return
        if repo in self.mirror.gated:
            self._error(403, "GatedRepo")
            return
        commit, files = self.mirror.find(repo, revision)
        if files is None or name not in files:
            self._error(404, "EntryNotFound" if files else "RevisionNotFound", {"X-Repo-Commit": commit})
            return
        content = files[name]
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if len(content) > LARGE:
            headers |= {
                "X-Linked-Size": str(len(content)),
                "X-Linked-Etag": f'"{digest(content)}"',
                "Location": f"{self.mirror.cdn}/cdn/{digest(content)}",
            }
            self._send(302, b"", headers)
            return
        self._content(content, headers | {"ETag": f'"{hashlib.sha1(content).hexdigest()}"'}, name)

    def _bytes(self, wanted):
        for files in self.mirror.commits.values():
            for name, content in files.items():
                if len(content) > LARGE and digest(content) == wanted:
                    sent = bytes(len(content)) if name in self.mirror.damaged else content
                    self._content(sent, {"ETag": f'"{wanted}"', "Accept-Ranges": "bytes"}, name)
                    return
        self._error(404, "EntryNotFound")

    def _content(self, content, headers, name):
        status, start = 200, 0
        if (asked := self.headers.get("Range", "")).startswith("bytes="):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            status = 206
            headers = headers | {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        self._send(status, content[start:], headers, cut=self.mirror.cut_after.get(name))

    def _send(self, status, body, headers, cut=None):
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        with suppress(ConnectionError):  # a client that gave up
            self.wfile.write(body if cut is None else body[:cut])
        if cut is not None and cut < len(body):
            self.close_connection = True

    def _error(self, status, code, headers=None):
        self._send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": code} | (headers or {}))
        return False


@contextmanager
def serving():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.mirror = Mirror(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="mirror")
    thread.start()
    try:
        yield server.mirror
    finally:
        server.mirror.stalled.set()
        server.shutdown()
        thread.join()
        server.server_close()
