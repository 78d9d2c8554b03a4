"""A load generator for one machine: kept connections, one request at a time on each.

It writes and reads bytes on sockets itself, since a client library would take more of the two cores
than the server. Each request's time is from its write to the last byte of its answer.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass
class Load:
    """What was found.

    Attributes:
        seconds: Of each answered request.
        began: When each was sent, in seconds from the start.
        failed: What went wrong, by request.
        statuses: How many answers of each status.
        wall_s: From the first to the last.
    """

    seconds: list[float] = field(default_factory=list)
    began: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    wall_s: float = 0.0

    def at(self, share: float) -> float:
        """Milliseconds within which a share of the requests was answered."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def text(self) -> str:
        """One line."""
        n = len(self.seconds)
        bad = sum(count for status, count in self.statuses.items() if status != 200)
        return (
            f"{n:,} requests, {n / self.wall_s:,.0f} a second, p50 {self.at(0.5):.2f} ms, "
            f"p99 {self.at(0.99):.2f} ms, worst {self.at(1.0):.1f} ms; "
            f"{bad} not 200, {len(self.failed)} broken"
        )


def run(
    host: str,
    port: int,
    paths: Sequence[str],
    *,
    n: int,
    connections: int,
    events: Sequence[tuple[float, Callable[[], None]]] = (),
) -> Load:
    """Send n requests and measure.

    Args:
        host: Where the server is.
        port: Where the server is.
        paths: What is asked, over and over.
        n: Requests in all.
        connections: Kept connections, each with one request under way.
        events: What happens beside it, after so many seconds, in threads.
    """
    return asyncio.run(_run(host, port, paths, n, connections, events))


async def _run(
    host: str,
    port: int,
    paths: Sequence[str],
    n: int,
    connections: int,
    events: Sequence[tuple[float, Callable[[], None]]],
) -> Load:
    load, left = Load(), iter(range(n))
    begin = time.perf_counter()

    async def client() -> None:
        reader = writer = None
        for number in left:
            request = f"GET {paths[number % len(paths)]} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
            start = time.perf_counter()
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection(host, port)
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                lower = head.lower()
                at = lower.index(b"content-length:") + 15
                await reader.readexactly(int(lower[at : lower.index(b"\r", at)]))
                if b"connection: close" in lower:
                    writer.close()
                    writer = None
            except (OSError, EOFError, ValueError) as error:
                load.failed.append(f"{type(error).__name__} at {start - begin:.2f} s")
                writer = None
                await asyncio.sleep(0.02)
                continue
            status = int(head[9:12])
            load.statuses[status] = load.statuses.get(status, 0) + 1
            load.seconds.append(time.perf_counter() - start)
            load.began.append(start - begin)

    async def event(after: float, happens: Callable[[], None]) -> None:
        await asyncio.sleep(after)
        await asyncio.to_thread(happens)

    beside = [asyncio.create_task(event(*each)) for each in events]
    await asyncio.gather(*(client() for _ in range(connections)))
    load.wall_s = time.perf_counter() - begin
    await asyncio.gather(*beside)
    return load
