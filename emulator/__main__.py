"""`python -m emulator`: Daytona and Convex on one loopback port."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

import uvicorn

from emulator.convex import routes
from emulator.convex.harness import SETS
from emulator.core import Core
from emulator.protocol import Protocol
from emulator.server import Server
from emulator.settings import ALL_PERMISSIONS, ORGANIZATION, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Uvicorn(uvicorn.Server):
    """Leaves the signals to `main`: uvicorn would wait for the held calls."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Each option can also be set as `EMULATOR_<OPTION>`; the command line wins."""
    parser = argparse.ArgumentParser(prog="python -m emulator", description=__doc__)
    options: list[tuple[str, Callable[[str], Any], Any, str]] = [
        ("host", str, "127.0.0.1", "address to listen on"),
        ("port", int, 8010, "port to listen on; 0 takes a free one"),
        ("state", str, "", "SQLite file that keeps the state; without it nothing is kept"),
        ("transition", float, 0.3, "seconds that a start or stop takes"),
        ("archive", float, 2.0, "seconds that an archive takes"),
        ("latency", float, 0.0, "seconds added to every answer"),
        ("daytona-key", str, "dtn_emulator_development", "key of the organisation, with all permissions"),
        ("convex-key", str, "dev:emulator|0123456789abcdef", "deploy key of the Convex deployment"),
        ("convex-functions", published_set, "main", "published set of functions: main, first or second"),
        ("seed", int, 0, "seed of the random choices"),
    ]
    for name, kind, default, text in options:
        value = os.environ.get(_variable(name)) or default
        parser.add_argument(f"--{name}", type=kind, default=value, help=f"{text} (default {default})")
    parser.add_argument(
        "--with-sandkeeper",
        action="store_true",
        default=os.environ.get(_variable("with-sandkeeper"), "") in ("1", "true", "yes"),
        help="serve Sandkeeper's own Convex functions too",
    )
    return parser.parse_args(arguments)


def published_set(name: str) -> str:
    """Raises what argparse says in one line, for the command line and the environment alike."""
    if name not in SETS:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(SETS)}")
    return name


def settings_of(options: argparse.Namespace) -> Settings:
    return Settings(
        transition=options.transition,
        archive=options.archive,
        latency=options.latency,
        keys={options.daytona_key: {"organization": ORGANIZATION, "permissions": list(ALL_PERMISSIONS)}},
        convex_keys={options.convex_key: {}},
        convex={"functions": options.convex_functions, "sandkeeper": options.with_sandkeeper},
    )


def listen(host: str, port: int) -> socket.socket:
    """Raises OSError, so that a port in use is known before anything else is done."""
    # Without the protocol's number asyncio would not switch off Nagle's algorithm.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.set_inheritable(True)
    return listener


async def serve(options: argparse.Namespace, listener: socket.socket) -> None:
    core = Core(settings_of(options), state=options.state or None, seed=options.seed)
    config = uvicorn.Config(
        Server(core, convex=routes),
        http=Protocol,
        ws="wsproto",
        lifespan="on",
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        backlog=2048,
    )
    server = Uvicorn(config)
    port = listener.getsockname()[1]
    running = asyncio.ensure_future(server.serve(sockets=[listener]))
    while not server.started and not running.done():
        await asyncio.sleep(0.005)
    print(f"listening on http://{options.host}:{port}", flush=True)
    await running


def main() -> int:
    options = parse_arguments()
    try:
        listener = listen(options.host, options.port)
    except OSError as error:
        print(f"emulator: port {options.port} on {options.host} is not free: {error.strerror}", file=sys.stderr)
        return 1
    # Every write is already stored, so ending at once loses nothing, held calls included.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    asyncio.run(serve(options, listener))
    return 0


def _variable(option: str) -> str:
    return f"EMULATOR_{option.replace('-', '_').upper()}"


if __name__ == "__main__":
    sys.exit(main())
