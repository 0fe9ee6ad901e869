#!/usr/bin/env python3
"""The counterpart of examples/web-service.json: orders.py [PORT].

It is ready at the third look, is too busy once for every tenth order and says when to come back,
and never prices an order twice. It wants the key of the environment variable SERVICE_KEY. Prints
its port (0: any that is free) and serves until standard input ends.
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

ORDERS = [{"id": f"order-{n}", "amount": n} for n in range(1, 101)]
KEY = os.environ.get("SERVICE_KEY", "")
lock = threading.Lock()
looks = 0
was_busy = set()
priced = {}  # by idempotency key


class Orders(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, value, status=200, **headers):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        global looks
        path = urlsplit(self.path).path
        if path == "/state":
            looks += 1
            return self.answer({"state": "complete" if looks > 2 else "loading"})
        if self.headers["X-Api-Key"] != KEY:
            return self.answer({"error": "who are you?"}, 401)
        return self.answer(ORDERS if path == "/orders" else {"error": "no such thing"},
                           200 if path == "/orders" else 404)

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["X-Api-Key"] != KEY:
            return self.answer({"error": "who are you?"}, 401)
        order, key = asked["order"], self.headers["Idempotency-Key"]
        with lock:
            if order["amount"] % 10 == 0 and order["id"] not in was_busy:
                was_busy.add(order["id"])
                return self.answer({"error": "busy"}, 503, Retry_After="1")
            price = priced.setdefault(key, {"id": order["id"], "price": 3 * order["amount"]})
        return self.answer(price)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int((sys.argv[1:] or ["0"])[0])), Orders)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
