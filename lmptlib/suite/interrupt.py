"""Ctrl-C while a notebook runs in batch: its kernel is told, and has time to put away what it has."""

import signal
import threading
from types import FrameType
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner


class Interrupt:
    """While it is entered, Ctrl-C or SIGTERM interrupts the kernel.

    The cell in progress gets a KeyboardInterrupt and `patience` seconds to end; after that, or when the signal comes
    again, the kernel is killed. No other cell starts: `on_cell_start` raises KeyboardInterrupt. Only the main thread can
    take signals; in another, nothing happens.
    """

    def __init__(self, kernel: AsyncKernelManager, patience: float = 60):
        self.came = False
        # A kernel that is told before its first cell would die of it, with a traceback: it goes unasked then.
        self._ready = False
        self._kernel = kernel
        self._former: dict[int, Any] = {}
        self._timer = threading.Timer(patience, self._send, [signal.SIGKILL])
        self._timer.daemon = True

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._pass_on)
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def on_cell_start(self, **_: object) -> None:
        if self.came:
            raise KeyboardInterrupt
        self._ready = True

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        if self._ready and self.came:
            self._send(signal.SIGKILL)
        elif self._ready:
            self._send(signal.SIGINT)
            self._timer.start()
        self.came = True

    def _send(self, number: int) -> None:
        kernel = self._kernel.provisioner
        if isinstance(kernel, LocalProvisioner) and kernel.process:
            kernel.process.send_signal(number)
