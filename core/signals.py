"""Wait for a signal in a process whose main thread has nothing else to do."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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
