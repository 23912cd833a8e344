"""A kernel that starts while a run is planned."""

import os
import subprocess
import sys

import pytest

from lmptlib.suite.kernel import started_kernel

PLANNING = """
import sys
from lmptlib.config import resolve
from lmptlib.clip.loading import EMBEDDED, weights_fingerprint
import lmptlib.training.plan
resolve(recipe="best"), weights_fingerprint(EMBEDDED, None)
print(*sys.modules)
"""


@pytest.mark.usefixtures("forked_kernels")
def test_it_ends_with_what_it_was_started_for():
    """As when a run is finished already, or its settings are wrong."""
    with pytest.raises(ValueError, match="wrong"), started_kernel() as kernel:
        pid = kernel.provisioner.process.pid
        os.kill(pid, 0)
        raise ValueError("wrong")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_planning_imports_little():
    """What takes seconds is for whoever opens a model or draws."""
    loaded = subprocess.run([sys.executable, "-c", PLANNING], capture_output=True, text=True, check=True).stdout.split()
    slow = {"open_clip", "torchvision", "transformers", "sklearn", "scipy.stats", "plotly", "torch._dynamo", "nbformat"}
    assert "torch" in loaded and not slow & set(loaded)
