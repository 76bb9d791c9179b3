"""An EST server on the loopback interface: a thread around `EstResponder`."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import threading

from certs import reading
from certs.est import HttpRequest


class _Handler(http.server.BaseHTTPRequestHandler):
    """Reads one request, answers it, closes."""

    protocol_version = "HTTP/1.0"

    def do_GET(self):
        self._answer(b"")

    def do_POST(self):
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body):
        shown = self.connection.getpeercert(binary_form=True)
        peer = reading.certificate(shown) if shown else None
        request = HttpRequest(self.command, self.path, body, tuple(self.headers.items()))
        response = self.server.responder.answer(request, self.server.responder.pki.at, peer)
        self.send_response(response.status)
        if response.retry_after:
            self.send_header("Retry-After", response.retry_after)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Transfer-Encoding", "base64")
        self.end_headers()
        self.wfile.write(response.body)

    def log_message(self, *_):
        pass


class _Server(http.server.HTTPServer):
    def handle_error(self, *_):
        """A client that leaves in the middle of a handshake is part of the tests."""


@contextlib.contextmanager
def serving(responder, folder, roots, timeout_s=5.0):
    """The port of a server that shows the identity in `folder` and accepts client certificates below `roots`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(
        folder / "chain.pem", folder / "key.pem", (folder / "passphrase").read_text().strip()
    )
    context.load_verify_locations(cadata="".join(reading.pem([root]).decode() for root in roots))
    context.verify_mode = ssl.CERT_OPTIONAL
    server = _Server(("127.0.0.1", 0), _Handler)
    server.responder = responder
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout_s)


def client_context(roots, folder=None):
    """Trust in `roots`; `folder` holds the client's identity."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the names in this PKI are no host names
    context.load_verify_locations(cadata="".join(reading.pem([root]).decode() for root in roots))
    if folder is not None:
        secret = (folder / "passphrase").read_text().strip()
        context.load_cert_chain(folder / "chain.pem", folder / "key.pem", secret)
    return context
