"""lmptlib: prompt tuning of a frozen CLIP for long-tailed multi-label recognition.

from lmptlib import train, resolve, Run, Classifier
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"
_API = {
    "train": "lmptlib.training.training",
    "resolve": "lmptlib.config",
    "Run": "lmptlib.runs.run",
    "Classifier": "lmptlib.runs.classifier",
}
__all__ = ["Classifier", "Run", "__version__", "resolve", "train", "versions"]


def __getattr__(name: str) -> Any:
    """The API, imported when it is first used: `import lmptlib` alone is quick."""
    if name not in _API:
        raise AttributeError(f"module 'lmptlib' has no attribute '{name}'")
    return getattr(import_module(_API[name]), name)


def versions() -> str:
    """One line on what runs here: Python, the packages that decide numbers, and the device."""
    import platform
    from importlib import metadata

    import open_clip
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    packages = {"lmptlib": __version__, "torch": torch.__version__, "open_clip": open_clip.__version__}
    packages |= {"scikit-learn": metadata.version("scikit-learn")}
    listed = ", ".join(f"{name} {version}" for name, version in packages.items())
    return f"Python {platform.python_version()}, {listed}; {device}"
