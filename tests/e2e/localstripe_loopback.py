"""localstripe on loopback alone, over TLS, keeping nothing on disk.

Its own command line binds every interface, speaks plain HTTP and pickles what it was sent, card numbers included.
Arguments: certificate, key, ready file.
"""

import socket
import ssl
import sys

from aiohttp import web
from localstripe.resources import store
from localstripe.server import app


def main() -> None:
    certificate, key, ready = sys.argv[1:4]
    store.dump_to_disk = lambda: None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    address, port = listener.getsockname()

    async def announce(_app: web.Application) -> None:
        with open(ready, "w", encoding="ascii") as file:
            file.write(f"{address}:{port}")

    app.on_startup.append(announce)
    web.run_app(app, sock=listener, ssl_context=context, access_log=None, print=None)


if __name__ == "__main__":
    main()
