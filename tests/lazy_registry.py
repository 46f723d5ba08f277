#!/usr/bin/env python3
"""Before another registry: lazy_registry.py DIR HOST:PORT; DIR/host gets its own host:port.

Files in DIR make it worse: `hold`: a layer that is asked for to its end comes when the file is gone; `lie`: of a piece of a
blob the last byte is another; `more`: a piece is said to be longer, and breaks off behind its last byte; `down`: a piece is
refused by 503; `stall`: a piece does not come while it is there; `whole`: it knows no ranges; `rate`: "BYTES MS": so many a
second over all, each answer so much later. DIR/log has a line for each answer with a blob: "piece FROM BYTES" or "rest FROM
BYTES". /sent says how many answers and bytes there were so far.
"""
import http.server
import os
import re
import sys
import threading
import time
import urllib.error
import urllib.request

FOLDER, BEHIND = sys.argv[1:]
LOCK = threading.Lock()
WIRE = threading.Lock()
PIECE = 16384
sent = [0, 0]


def has(knob):
    return os.path.exists(os.path.join(FOLDER, knob))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def note(self, *words):
        with LOCK, open(os.path.join(FOLDER, "log"), "a") as log:
            print(*words, file=log)

    def fetch(self, headers):
        request = urllib.request.Request("http://" + BEHIND + self.path, headers=headers)
        try:
            return urllib.request.urlopen(request)
        except urllib.error.HTTPError as e:
            return e

    def answer(self, reply, body, headers=(), more=0):
        self.send_response(reply)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) + more))
        self.end_headers()
        self.send(body)
        self.close_connection = self.close_connection or more > 0

    def send(self, body):
        rate, late = 0, 0
        if has("rate"):
            with open(os.path.join(FOLDER, "rate")) as f:
                rate, late = map(int, f.read().split())
        time.sleep(late / 1000)
        sent[0] += 1
        for at in range(0, len(body), PIECE):
            piece = body[at:at + PIECE]
            with WIRE:
                if rate:
                    time.sleep(len(piece) / rate)
                sent[1] += len(piece)
            self.wfile.write(piece)

    def do_GET(self):
        if self.path == "/sent":
            return self.answer(200, b"%d %d" % tuple(sent))
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        piece = asked and asked[2]
        blob = "/blobs/" in self.path
        headers = {k: v for k, v in self.headers.items() if k in ("Accept", "Authorization", "Range")}
        while blob and piece and has("stall"):
            time.sleep(0.05)
        if blob and piece and has("down"):
            return self.answer(503, b"")
        if has("whole"):
            headers.pop("Range", None)
        reply = self.fetch(headers)
        body = reply.read()
        while blob and not piece and len(body) > 10000 and has("hold"):
            time.sleep(0.05)
        if blob and reply.status < 300:
            self.note("piece" if piece else "rest", asked[1] if asked else 0, len(body))
        if piece and has("lie"):
            body = body[:-1] + bytes([body[-1] ^ 1])
        keep = [(k, v) for k, v in reply.headers.items()
                if k in ("Content-Type", "Content-Range", "Docker-Content-Digest", "WWW-Authenticate")]
        self.answer(reply.status, body, keep, 1 if blob and piece and has("more") else 0)


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *args):
        pass  # who asked was killed


server = Server(("127.0.0.1", 0), Handler)
with open(os.path.join(FOLDER, ".host"), "w") as f:
    f.write("127.0.0.1:%d" % server.server_port)
os.rename(os.path.join(FOLDER, ".host"), os.path.join(FOLDER, "host"))
server.serve_forever()
