"""lmptlib: prompt tuning of a frozen CLIP for long-tailed multi-label recognition."""

__version__ = "0.1.0"


def versions() -> str:
    """One line on what runs here: Python, the packages that decide numbers, and the device."""
    import platform

    import open_clip
    import sklearn
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    packages = {"lmptlib": __version__, "torch": torch.__version__, "open_clip": open_clip.__version__}
    packages |= {"scikit-learn": sklearn.__version__}
    listed = ", ".join(f"{name} {version}" for name, version in packages.items())
    return f"Python {platform.python_version()}, {listed}; {device}"
