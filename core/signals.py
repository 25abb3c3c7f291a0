"""Signals: waited for in a process whose main thread has nothing else to do, or listened to beside a server."""

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def caught(*numbers: signal.Signals) -> Iterator[Callable[[], object]]:
    """Catch signals, in the main thread; what is given waits for the first of them, that may have come already.

    A signal does not wake a lock that the main thread waits for, where it comes just before the waiting begins or to
    another thread. The byte that Python writes for each is there whenever somebody looks
    (https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd).
    """
    arriving, written = socket.socketpair()
    with arriving, written:
        written.setblocking(False)
        earlier_fd = signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
        earlier = {number: signal.signal(number, lambda *_: None) for number in numbers}
        try:
            yield lambda: arriving.recv(1)
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(earlier_fd)


@contextmanager
def also_on(*numbers: signal.Signals, call: Callable[[], object]) -> Iterator[None]:
    """Call ``call`` on the running event loop when one of these signals comes, besides what it does already.

    Outside the main thread, where nobody catches signals, nothing is called.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    earlier = {number: signal.getsignal(number) for number in numbers}

    def caught_one(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(call)
        handler = earlier[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number in numbers:
        signal.signal(number, caught_one)
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
