#!/usr/bin/env python3
"""A registry that lies, one way for each repository name: fake_registry.py FILE; FILE gets its host:port.

These are honest: `token` wants a Bearer token for its scope, got with me:secret, each good for two requests; `oauth` takes a password or such a token, got for the identity token `refresh`
by POST, which it refuses by 503 once; `busy` says
429 twice before it answers; `slow` closes the connection after every 300 bytes of a layer; `gate` sends half of a large layer, and the rest when
FILE.open is there; `restart` breaks off in the middle of it, after other bytes than it should send, and knows no ranges; `rubbish` is the same, but what it
sends first is no layer; `kills` sends four
layers slowly, and /counts has each that was asked for and from where.
`foreign` has a layer that is kept elsewhere, `chart` a config of no image.
`half` has not the first of its two layers, and says 503 for the other. `more` promises a byte more of a layer than there
is, and breaks off where that one would be. `giant` says that its layer is 1 TiB.
These are slow, for 20 s: `silent` does not answer, `stall` stops within its headers, `drip` sends a layer by bytes; `flood`
sends headers without end. `full` of /counts is a port where nobody takes a connection.
Uploads by PATCH: `chunks` breaks the second one off and says what it has when it is asked; `wrong-place` answers it by
416 with its Range; `forgets` knows nothing of it any more, once; `amnesia` never does; `miscounts` claims more than it got; `big-chunks` wants
20 MiB at least, `huge-chunks` 2 GiB.
The repository `leak` wants a password and sends its manifest's readers to another host name, which answers with the
Authorization header that it got as the text of an error.
"""
import gzip
import hashlib
import http.server
import io
import json
import os
import socket
import sys
import tarfile
import time
import urllib.parse

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


LAYER = b"x" * 1000
CONFIG = json.dumps({"os": "linux", "architecture": "amd64",
                     "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}).encode()
IMAGE = json.dumps({
    "schemaVersion": 2, "mediaType": MANIFEST,
    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(CONFIG), "size": len(CONFIG)},
    "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest(LAYER), "size": 1000}],
}).encode()


def tar_of(files):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return raw.getvalue()


class Image:
    """An honest image; each layer is a list of files: name and contents."""

    def __init__(self, *layers):
        tars = [tar_of(files) for files in layers]
        self.layers = [gzip.compress(tar, 1) for tar in tars]
        self.layer = self.layers[0]
        self.config = json.dumps({"os": "linux", "architecture": "amd64",
                                  "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in tars]}}).encode()
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(self.config),
                       "size": len(self.config)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest(layer),
                        "size": len(layer)} for layer in self.layers],
        }).encode()


GOOD = Image([("hello", b"hello\n"), ("noise", hashlib.shake_256(b"noise").digest(1000))])
LARGE = Image([(name, hashlib.shake_256(name.encode()).digest(400000)) for name in ("first", "second")])
KILLS = Image(*[[("f%d" % n, hashlib.shake_256(b"%d" % n).digest(n * 2000000))] for n in (1, 2, 3, 4)])
HONEST = {"kills": KILLS, "token": GOOD, "oauth": GOOD, "busy": GOOD, "slow": GOOD, "gate": LARGE, "restart": LARGE, "rubbish": LARGE,
          "drip": GOOD, "more": GOOD, "half": Image([("a", b"a")], [("b", b"b")])}
NESTED = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
    {"mediaType": INDEX, "digest": "sha256:" + "1" * 64, "size": 10}]}).encode()


class Registry(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, body, status=200, kind=MANIFEST, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass

    def manifest(self, repo):
        port = self.server.server_port
        if repo == "huge":
            self.answer(b" " * (100 << 20))
        elif repo == "loop":
            self.answer(b"", 302, Location=self.path)
        elif repo == "file":
            self.answer(b"", 302, Location="file:///etc/passwd")
        elif repo == "media":
            self.answer(b'{"schemaVersion":2,"mediaType":"text/evil\\u001b[31m"}')
        elif repo == "cyclic":
            self.answer(NESTED, kind=INDEX)
        elif repo == "realm":
            self.answer(b"", 401, WWW_Authenticate='Bearer realm="file:///etc/passwd",service="x"')
        elif repo == "inject":
            self.answer(b"", 401, WWW_Authenticate='Bearer realm="http://127.0.0.1:%d/inject",service="x"' % port)
        elif repo == "error":
            self.answer(b"\x1b[2Jevil\nline", 418)
        elif repo == "leak" and not self.headers.get("Host", "").startswith("localhost"):
            if not self.headers.get("Authorization"):
                self.answer(b"", 401, WWW_Authenticate='Basic realm="x"')
            else:
                self.answer(b"", 302, Location="http://localhost:%d%s" % (port, self.path))
        elif repo == "leak":
            self.answer(("got %s" % self.headers.get("Authorization")).encode(), 418)
        elif repo == "foreign":
            self.answer(IMAGE.replace(b"application/vnd.oci.image.layer.v1.tar+gzip",
                                      b"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
                        .replace(b'"size": 1000', b'"size": 1000, "urls": ["http://127.0.0.1:%d/v2/urls/x"]' % port))
        elif repo == "chart":
            self.answer(IMAGE.replace(b"image.config.v1", b"chart.config.v1"))
        elif repo == "giant":
            self.answer(IMAGE.replace(b'"size": 1000', b'"size": %d' % (1 << 40)))
        else:
            self.answer(IMAGE)

    # What was asked for beside manifests of those that lie; uses left of each token; how often `busy` has answered; the parts of a layer that `slow` was asked for.
    asked = []
    tokens = {}
    refused = 0
    ranges = []
    killed = []

    def token(self):
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        if self.headers.get("Authorization") != "Basic bWU6c2VjcmV0":
            self.answer(b"{}", 401)
        elif asked != {"service": ["our service"], "scope": ["repository:token:pull"]}:
            self.answer(json.dumps(asked).encode(), 418)
        else:
            name = "t%d" % len(Registry.tokens)
            Registry.tokens[name] = 2
            self.answer(json.dumps({"token": name, "expires_in": 60}).encode(), kind="application/json")

    def may_pass(self, repo):
        """Whether the request is let through; it is answered when not."""
        if repo == "token":
            name = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if Registry.tokens.get(name, 0) > 0:
                Registry.tokens[name] -= 1
                return True
            realm = "http://127.0.0.1:%d/token" % self.server.server_port
            self.answer(b"", 401, WWW_Authenticate='Bearer realm="%s",service="our service",scope="ignored"' % realm)
            return False
        if repo == "oauth" and self.headers.get("Authorization") != "Bearer by-oauth":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Bearer realm="http://127.0.0.1:%d/oauth",service="our service"' %
                             self.server.server_port)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return False
        if repo == "busy" and Registry.refused < 2:
            Registry.refused += 1
            self.answer(b"later", 429, Retry_After="1")
            return False
        return True

    def start(self):
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])

    def promise(self, layer, start):
        """The headers of a layer from its byte @start."""
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(layer) - start))
        if start:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (start, len(layer) - 1, len(layer)))
        self.end_headers()

    def slow(self, layer):
        """A layer in pieces of 300 bytes, each promised whole."""
        start = self.start()
        Registry.ranges.append(start)
        self.promise(layer, start)
        self.wfile.write(layer[start:start + 300])
        self.close_connection = True

    def more(self, layer):
        start = self.start()
        Registry.ranges.append(start)
        self.promise(layer + b"x", start)
        self.wfile.write(layer[start:])
        self.close_connection = True

    def gate(self, layer):
        self.promise(layer, 0)
        self.wfile.write(layer[:len(layer) // 2 + 200000])
        for _ in range(600):
            if os.path.exists(sys.argv[1] + ".open"):
                break
            time.sleep(0.1)
        self.wfile.write(layer[len(layer) // 2 + 200000:])

    def kills(self, image):
        """Each layer at 16 MB/s."""
        layer = [x for x in image.layers if digest(x) in self.path][0]
        start = self.start()
        Registry.killed.append((hashlib.sha256(layer).hexdigest(), start))
        self.promise(layer, start)
        try:
            for at in range(start, len(layer), 160000):
                self.wfile.write(layer[at:at + 160000])
                time.sleep(0.01)
        except OSError:
            pass

    def rubbish(self, layer):
        self.restart(layer, b"x" * 400000)

    def half(self, image):
        if digest(image.layers[0]) in self.path:
            return self.answer(b"", 404)
        Registry.refused += 1
        return self.answer(b"later", 503, Retry_After="1")

    def restart(self, layer, first=None):
        Registry.ranges.append(self.start())
        self.promise(layer, 0)
        if len(Registry.ranges) > 1:
            self.wfile.write(layer)
            return
        other = Image([(name, hashlib.shake_256(b"other").digest(400000)) for name in ("first", "second")])
        self.wfile.write((first or other.layer)[:300000])
        self.close_connection = True

    def silent(self):
        time.sleep(20)

    def stall(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
        time.sleep(20)

    def flood(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        try:
            for _ in range(100000):
                self.wfile.write(b"X-Padding: %s\r\n" % (b"x" * 1000))
        except OSError:
            pass

    def drip(self, layer):
        self.promise(layer, 0)
        try:
            for i in range(200):
                self.wfile.write(layer[i:i + 1])
                time.sleep(0.1)
        except OSError:
            pass

    # ---- uploads: bytes by the repository; what the tests want to know of them ----

    uploads = {}
    patches = []

    def have(self, repo):
        return len(Registry.uploads.get(repo, b""))

    def state(self, repo, status):
        least = {"big-chunks": 20 << 20, "huge-chunks": 2 << 30}.get(repo, 0)
        self.answer(b"", status, Location="/v2/%s/blobs/uploads/1" % repo, Range="0-%d" % max(0, self.have(repo) - 1),
                    OCI_Chunk_Min_Length=str(least))

    def body(self, most=1 << 40):
        return self.rfile.read(min(most, int(self.headers.get("Content-Length", 0))))

    def do_HEAD(self):  # pylint: disable=invalid-name
        self.answer(b"", 404)

    def oauth(self):
        asked = urllib.parse.parse_qs(self.body().decode())
        Registry.refused += 1
        if Registry.refused == 1:
            self.answer(b"later", 503, Retry_After="1")
        elif asked != {"grant_type": ["refresh_token"], "client_id": ["strata"], "refresh_token": ["refresh"],
                       "service": ["our service"], "scope": ["repository:oauth:pull"]}:
            self.answer(json.dumps(asked).encode(), 400)
        else:
            self.answer(b'{"access_token": "by-oauth"}', kind="application/json")

    def do_POST(self):  # pylint: disable=invalid-name
        if self.path == "/oauth":
            return self.oauth()
        repo = self.path.split("/")[2]
        Registry.uploads[repo] = b""
        return self.state(repo, 202)

    def do_PATCH(self):  # pylint: disable=invalid-name
        repo = self.path.split("/")[2]
        start = int(self.headers["Content-Range"].split("-")[0])
        Registry.patches.append(start)
        number = len(Registry.patches)
        if repo == "miscounts":
            self.body()
            return self.answer(b"", 202, Location=self.path, Range="0-35000000")
        if number == 2 and repo == "chunks":
            Registry.uploads[repo] += self.body(2 << 20)
            self.close_connection = True
            return None
        if number == 2 and repo == "wrong-place":
            Registry.uploads[repo] = Registry.uploads[repo][:3 << 20]
            self.body()
            return self.state(repo, 416)
        if (number == 2 and repo == "forgets") or (number > 1 and repo == "amnesia"):
            self.body()
            return self.answer(b"{}", 404)
        if start != self.have(repo):
            self.body()
            return self.state(repo, 416)
        Registry.uploads[repo] += self.body()
        return self.state(repo, 202)

    def do_PUT(self):  # pylint: disable=invalid-name
        repo = self.path.split("/")[2]
        data = self.body()
        if "/manifests/" in self.path:
            return self.answer(b"", 201)
        Registry.uploads[repo] += data
        good = digest(Registry.uploads[repo]) == self.path.split("digest=")[1]
        return self.answer(b"", 201 if good else 400)

    def honest(self, repo):
        image = HONEST[repo]
        if not self.may_pass(repo):
            return
        if "/manifests/" in self.path:
            self.answer(image.manifest)
        elif digest(image.config) in self.path:
            self.answer(image.config)
        elif repo == "kills":
            self.kills(image)
        elif repo == "half":
            self.half(image)
        elif repo in ("slow", "more", "gate", "restart", "rubbish", "drip"):
            getattr(self, repo)(image.layer)
        else:
            self.answer(image.layer)

    def do_GET(self):  # pylint: disable=invalid-name
        if self.path.startswith("/token?"):
            return self.token()
        if self.path.startswith("/oauth?"):
            return self.answer(b"{}", 401)
        if self.path.startswith("/inject?"):
            return self.answer(json.dumps({"token": "x\r\nX-Evil: 1"}).encode())
        if self.path == "/counts":
            return self.answer(json.dumps({"tokens": len(Registry.tokens), "asked": Registry.asked, "refused": Registry.refused,
                                           "ranges": Registry.ranges, "layer": len(GOOD.layer), "patches": Registry.patches, "kills": Registry.killed,
                                           "full": full.getsockname()[1]}).encode())
        repo = self.path.split("/")[2]
        if "/uploads/" in self.path:
            return self.state(repo, 204)
        if repo in HONEST:
            return self.honest(repo)
        if repo in ("silent", "stall", "flood"):
            return getattr(self, repo)()
        return self.lie(repo)

    def lie(self, repo):
        if "/manifests/" in self.path:
            return self.manifest(repo)
        Registry.asked.append(repo)
        if digest(CONFIG) in self.path:
            return self.answer(CONFIG)
        return self.answer({"wrong": b"y" * 1000, "long": b"x" * 5000, "short": b"x" * 500}.get(repo, LAYER))


# A queue of connections that is full: further ones are not answered.
full = socket.socket()
full.bind(("127.0.0.1", 0))
full.listen(0)
fillers = [socket.socket() for _ in range(4)]
for filler in fillers:
    filler.setblocking(False)
    filler.connect_ex(full.getsockname())

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
with open(sys.argv[1], "w", encoding="ascii") as f:
    f.write("127.0.0.1:%d" % server.server_port)
server.serve_forever()
