#!/usr/bin/env python3
"""Servers that tests of operators talk to: `counterparts.py http|smtp [options]`.

Prints the port as one line, serves until standard input ends. With --tls CERT KEY everything is
under TLS (smtp: STARTTLS is offered, or TLS from the start with --implicit).
"""
import argparse
import base64
import contextlib
import email
import email.policy
import gzip
import json
import os
import pathlib
import socket
import socketserver
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

ARGS = None
COUNTS = {}
LOCK = threading.Lock()


def count(key):
    with LOCK:
        COUNTS[key] = COUNTS.get(key, 0) + 1
        return COUNTS[key]


class Http(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", kind="text/plain", headers=()):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer_json(self, value, status=200, headers=()):
        self.answer(status, json.dumps(value).encode(), "application/json", headers)

    def any_method(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        url = urlsplit(self.path)
        if url.scheme:
            return self.answer_json({"proxied": self.path})
        words = [word for word in url.path.split("/") if word]
        query = parse_qs(url.query)
        handle = getattr(self, "on_" + (words[0] if words else "echo"), None)
        if handle is None:
            return self.answer(404, b"no such thing\n")
        return handle(words[1:], query, body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = any_method

    def on_echo(self, _words, _query, body):
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.answer_json({"method": self.command, "path": self.path, "headers": headers,
                          "body": body.decode("utf-8", "replace"),
                          "peer": self.client_address[1]})

    def on_status(self, words, query, _body):
        headers = [("Retry-After", query["after"][0])] if "after" in query else []
        kind = query.get("kind", ["text/plain"])[0]
        self.answer(int(words[0]), b"because of \x1b[31mthis\n", kind, headers)

    def on_repeat(self, _words, query, body):
        self.answer(int(query["status"][0]), body)

    def on_busy(self, words, query, _body):
        """/busy/KEY/N: 503 with Retry-After for the first N calls."""
        if count(words[0]) <= int(words[1]):
            return self.answer(503, b"busy", headers=[("Retry-After", query["after"][0])])
        return self.answer_json({"calls": COUNTS[words[0]]})

    def on_ready(self, words, _query, _body):
        """/ready/KEY/N: pending for the first N calls."""
        calls = count(words[0])
        self.answer_json({"state": "pending" if calls <= int(words[1]) else "ready",
                          "rows": [1, 2, calls]})

    def on_redirect(self, words, query, _body):
        self.answer(int(words[0]), headers=[("Location", query["to"][0])])

    def on_endless_redirect(self, _words, query, _body):
        self.send_response(302)
        self.send_header("Location", query["to"][0])
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b"y" * 65536)
        self.close_connection = True

    def on_bytes(self, words, _query, _body):
        self.answer(200, b"x" * int(words[0]))

    def on_chunks(self, words, _query, _body):
        """Text without a length."""
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            for _ in range(int(words[0])):
                self.wfile.write(b"y" * 65536)
        except OSError:
            pass
        self.close_connection = True

    def on_packed(self, words, *_):
        """/packed/MIB/TIMES: so many zero bytes, compressed so many times over."""
        body = bytes(int(words[0]) << 20)
        for _ in range(int(words[1])):
            body = gzip.compress(body, 9)
        self.answer(200, body, headers=[("Content-Encoding", ", ".join(["gzip"] * int(words[1])))])

    def on_binary(self, *_):
        self.answer(200, b"\xff\xfe\x00\x01", "application/octet-stream")

    def on_html(self, *_):
        self.answer(200, b"<html>\n", "text/html")

    def on_slow(self, words, *_):
        time.sleep(float(words[0]))
        self.answer(200, b"late")

    def on_drip(self, *_):
        """A byte now and then, for a minute."""
        self.send_response(200)
        self.send_header("Content-Length", "1200")
        self.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(1200):
                self.wfile.write(b"z")
                time.sleep(0.05)

    def on_drop(self, *_):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def on_header(self, words, *_):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * int(words[0]) + b"\r\n\r\n")
        self.close_connection = True

    def on_odd_headers(self, *_):
        self.answer(200, b"{}", "application/json",
                    [("X-Empty", ""), ("X-Latin", "caf\xe9"), ("X-Utf8", "b\u00e4r".encode().decode("latin-1")),
                     ("X-Tab", "a\tb"), ("X-Twice", "1"), ("X-Twice", "2")])

    def on_odd_names(self, *_):
        self.answer(200, b"{}", "application/json",
                    [("X-B\xe4r", "1"), ("X-b\xe4r", "2"), ("X-Caf\u00e9".encode().decode("latin-1"), "3")])

    def on_marked(self, *_):
        self.answer(200, b"\xef\xbb\xbf{}", "application/json")

    def on_banner(self, *_):
        self.wfile.write(b"220 still starting\r\n")
        self.close_connection = True

    def on_empty(self, *_):
        self.answer(204)


class Smtp(socketserver.StreamRequestHandler):
    """Takes what is sent to it; addresses that begin with `refuse` or `later` it does not."""

    def reply(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def setup(self):
        if ARGS.tls and ARGS.implicit:
            self.request = tls_context().wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self):
        self.tls = bool(ARGS.tls and ARGS.implicit)
        self.user = None
        self.recipients = []
        if ARGS.mute:
            return self.fall_silent()
        self.reply("220 sink")
        while True:
            line = self.rfile.readline()
            if not line:
                return
            text = line.decode("utf-8", "replace").strip()
            verb = text.split(" ")[0].upper()
            handle = getattr(self, "on_" + verb.lower(), None)
            if handle is None:
                self.reply("502 what is that")
            elif handle(text):
                return

    def fall_silent(self):
        """Says nothing more until the other side goes; files `silent` and `left` tell of it."""
        pathlib.Path(ARGS.keep, "silent").touch()
        with contextlib.suppress(OSError):
            self.rfile.read()
        pathlib.Path(ARGS.keep, "left").touch()
        return True

    def on_ehlo(self, _text):
        lines = ["sink", "8BITMIME"]
        if not ARGS.no_login:
            lines.append("AUTH PLAIN")
        if ARGS.tls and not self.tls:
            lines.append("STARTTLS")
        for line in lines[:-1]:
            self.reply("250-" + line)
        self.reply("250 " + lines[-1])

    def on_starttls(self, _text):
        self.reply("220 go on")
        self.request = tls_context().wrap_socket(self.request, server_side=True)
        self.rfile = self.request.makefile("rb", -1)
        self.wfile = socketserver._SocketWriter(self.request)
        self.tls = True

    def on_auth(self, text):
        words = text.split(" ")
        if len(words) == 2:
            self.reply("334 ")
            words.append(self.rfile.readline().decode().strip())
        _, user, password = base64.b64decode(words[2]).decode().split("\0")
        if password != "open sesame":
            self.reply("535 wrong password")
        else:
            self.user = user
            self.reply("235 welcome")

    def on_mail(self, text):
        self.sender = text
        self.reply("250 ok")

    def on_rcpt(self, text):
        if "<refuse" in text:
            return self.reply("550 nobody of that name")
        if "<later" in text:
            return self.reply("451 try again later")
        if "<silent" in text:
            return self.fall_silent()
        self.recipients.append(text)
        return self.reply("250 ok")

    def on_data(self, _text):
        self.reply("354 go on")
        data = b""
        while not data.endswith(b"\r\n.\r\n"):
            data += self.rfile.readline()
        data = data[:-3].replace(b"\r\n..", b"\r\n.")
        keep_mail(self, data)
        self.reply("250 taken")

    def on_rset(self, _text):
        self.reply("250 ok")

    def on_quit(self, _text):
        if self.recipients and "<unfriendly" in self.recipients[-1]:
            return self.fall_silent()
        self.reply("221 bye")
        return True


def keep_mail(session, data):
    message = email.message_from_bytes(data, policy=email.policy.default)
    parts = []
    for part in message.walk():
        if part.is_multipart():
            parts.append({"type": part.get_content_type()})
            continue
        content = part.get_payload(decode=True).decode("utf-8", "replace")
        parts.append({"type": part.get_content_type(), "text": content,
                      "filename": part.get_filename()})
    kept = {"sender": session.sender, "recipients": session.recipients, "tls": session.tls,
            "user": session.user, "headers": {k.lower(): str(v) for k, v in message.items()},
            "defects": [str(defect) for defect in message.defects],
            "longest_line": max(len(line) for line in data.split(b"\r\n")),
            "is_ascii": data.isascii(), "parts": parts, "raw": data.decode("latin-1")}
    name = os.path.join(ARGS.keep, f"{count('mail')}.json")
    with open(name + ".part", "w", encoding="utf-8") as file:
        json.dump(kept, file)
    os.rename(name + ".part", name)


class SmtpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass  # who does not trust us goes away


class HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def finish_request(self, request, client_address):
        if ARGS.tls:
            request = tls_context().wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, *_):
        pass  # clients that go away are what some tests are about


def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*ARGS.tls)
    if ARGS.ask_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(ARGS.tls[0])
    return context


def main():
    global ARGS
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["http", "smtp"])
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    parser.add_argument("--implicit", action="store_true")
    parser.add_argument("--ask-client", action="store_true")
    parser.add_argument("--keep", help="folder for mail", default=".")
    parser.add_argument("--mute", action="store_true", help="smtp: never greets")
    parser.add_argument("--no-login", action="store_true", help="smtp: offers none")
    parser.add_argument("--port", type=int, default=0)
    ARGS = parser.parse_args()
    kind, handler = (HttpServer, Http) if ARGS.what == "http" else (SmtpServer, Smtp)
    server = kind(("127.0.0.1", ARGS.port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
