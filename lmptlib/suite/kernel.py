"""A kernel for a notebook in batch, which makes its imports while whoever wants it is still planning."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync

# What every notebook imports, in seconds, without a name in the notebook's own space; as in `lmptlib.suite.cli.main`,
# jsonschema does without its grammar of addresses.
_IMPORTS = (
    "__import__('sys').modules.setdefault('rfc3987_syntax'); "
    "[__import__(name) for name in ('open_clip', 'lmptlib.suite.parameters', 'lmptlib.training.training')];"
)


@contextmanager
def started_kernel() -> Iterator[AsyncKernelManager]:
    """A kernel that begins now, in the current folder; at the end it is killed, unless it has ended."""
    kernel = AsyncKernelManager(kernel_name="python3")
    # Critical alone: a kernel that ends is interrupted by its manager, which it may log as an error.
    arguments = ["--log-level=50", f"--IPKernelApp.exec_lines={_IMPORTS}"]
    try:
        run_sync(kernel.start_kernel)(cwd=os.getcwd(), extra_arguments=arguments)
        yield kernel
    finally:
        if kernel.has_kernel:
            run_sync(kernel.shutdown_kernel)(now=True)


def class_of(kernel: AsyncKernelManager) -> type[AsyncKernelManager]:
    """What nbclient takes a kernel's class for, and has this one of."""

    class Started(AsyncKernelManager):
        def __new__(cls, *_: object, **settings: object) -> AsyncKernelManager:  # type: ignore[misc]
            return kernel

    return Started
