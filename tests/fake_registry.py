#!/usr/bin/env python3
"""A registry that lies, one way for each repository name: fake_registry.py FILE; FILE gets its host:port.

The repository `leak` wants a password and sends its manifest's readers to another host name, which answers with the
Authorization header that it got as the text of an error.
"""
import hashlib
import http.server
import json
import sys

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
        elif repo == "error":
            self.answer(b"\x1b[2Jevil\nline", 418)
        elif repo == "leak" and not self.headers.get("Host", "").startswith("localhost"):
            if not self.headers.get("Authorization"):
                self.answer(b"", 401, WWW_Authenticate='Basic realm="x"')
            else:
                self.answer(b"", 302, Location="http://localhost:%d%s" % (port, self.path))
        elif repo == "leak":
            self.answer(("got %s" % self.headers.get("Authorization")).encode(), 418)
        else:
            self.answer(IMAGE)

    def do_GET(self):  # pylint: disable=invalid-name
        repo = self.path.split("/")[2]
        if "/manifests/" in self.path:
            self.manifest(repo)
        elif digest(CONFIG) in self.path:
            self.answer(CONFIG)
        else:
            self.answer({"wrong": b"y" * 1000, "long": b"x" * 5000, "short": b"x" * 500}.get(repo, LAYER))


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
with open(sys.argv[1], "w", encoding="ascii") as f:
    f.write("127.0.0.1:%d" % server.server_port)
server.serve_forever()
