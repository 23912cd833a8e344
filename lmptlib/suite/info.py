"""What `lmpt info` prints: versions, device, places, data sets, and what is missing."""

import importlib.util
import os
import shlex
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from lmptlib.paths import home

EXTENSIONS = ("jupyterlab", "ipywidgets", "anywidget", "plotly")
EXTRAS = {
    "notebooks": "the notebooks",
    "paper": "the notebooks' paper figures",
    "cluster": "several workers of a sweep",
    "captions": "captions by a model",
}


def missing_packages(extra: str = "") -> list[str]:
    """What lmptlib, or an extra of it, requires and is not installed, or not in a version that will do."""
    try:
        required = [Requirement(line) for line in metadata.requires("lmptlib") or []]
    except metadata.PackageNotFoundError:
        return ["lmptlib"]
    missing = []
    for requirement in required:
        if not (requirement.marker.evaluate({"extra": extra}) if requirement.marker else extra == ""):
            continue  # of the library, of another extra, or of another system
        try:
            fits = requirement.specifier.contains(metadata.version(requirement.name), prereleases=True)
        except metadata.PackageNotFoundError:
            fits = False
        if not fits:
            missing.append(f"{requirement.name}{requirement.specifier}")
    return missing


def describe() -> Iterator[str]:
    """One line a fact, the last of them whether the notebooks have what they need. Nothing is downloaded or drawn."""
    missing = missing_packages()
    if missing:
        yield f"to install: {_install(missing)}"
        return

    import torch

    from lmptlib import versions
    from lmptlib.data.loading import BUILT_IN, DRAWN
    from lmptlib.paths import cache_folder, outputs_folder
    from lmptlib.runs.run import find_runs

    yield versions()
    yield ", ".join(f"{name} {_version(name)}" for name in EXTENSIONS)
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory
        yield f"device      {torch.cuda.get_device_name(0)}, {memory / 1e9:.0f} GB"
    else:
        yield f"device      CPU, {torch.get_num_threads()} threads; no CUDA device"
    waiting = [f"{name}={os.environ[name]}" for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT") if name in os.environ]
    yield f"threads     wait by {', '.join(waiting) or 'the default of OpenMP'}"
    outputs = outputs_folder()
    n_notebooks = len(
        [*outputs.glob("notebooks/*.ipynb"), *outputs.glob("demo/*.ipynb"), *outputs.glob("*/notebook.ipynb")]
    )
    yield f"data        {home() / 'data'}: {_holds(home() / 'data')}"
    yield f"features    {cache_folder()}: {_holds(cache_folder())}"
    yield f"outputs     {outputs}: {len(find_runs())} runs, {n_notebooks} executed notebooks, {_holds(outputs)}"
    states = {name: _state(name) for name in BUILT_IN}
    yield from (f"{name:11} {state}" for name, state in states.items())
    yield from _tools()
    to_do = [
        f"to install for {use}: {_install(found)}"
        for extra, use in EXTRAS.items()
        if (found := missing_packages(extra))
    ]
    to_do += [
        f"to mend: remove {home() / 'data' / name}, and the next run draws it again"
        for name in DRAWN
        if states[name].startswith("incomplete")
    ]
    yield from to_do or ["everything that the notebooks need is there"]


def _install(missing: list[str]) -> str:
    return f"python -m pip install {shlex.join(missing)}"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _holds(folder: Path) -> str:
    sizes = [os.lstat(os.path.join(place, file)).st_size for place, _, files in os.walk(folder) for file in files]
    return f"{len(sizes):,} files, {sum(sizes) / 1e6:,.0f} MB" if folder.is_dir() else "not there yet"


def _state(name: str) -> str:
    """Whether a built-in data set is there, and else the first thing that is missing."""
    from lmptlib.data.loading import DRAWN, load_dataset
    from lmptlib.errors import DataError

    source = name
    if name in DRAWN:
        card = home() / "data" / name / f"{name}.yaml"
        if not card.is_file() or f"version: {DRAWN[name]}\n" not in card.read_text(encoding="utf-8"):
            return "not drawn yet: the first run that needs it does that"
        source = str(card)  # by its name it would be drawn
    try:
        dataset = load_dataset(source)
    except DataError as error:
        more = f" (and {len(error.problems) - 1:,} more: 'lmpt data check {name}')" if len(error.problems) > 1 else ""
        return f"incomplete: {error.problems[0].removeprefix(f'{name}: ')}{more}"
    return "complete: " + ", ".join(f"{len(split):,} {key}" for key, split in dataset.splits.items()) + " images"


def _tools() -> Iterator[str]:
    """A line for each optional tool that is missing, and one for those that are there."""
    browsers = ("chromium", "chromium-browser", "google-chrome")
    tools = {
        "git": (shutil.which("git"), "versions of your own work; the notebooks do without"),
        "chromium": (next(filter(None, map(shutil.which, browsers)), None), "the browser tests"),
        "playwright": (importlib.util.find_spec("playwright"), "the browser tests: pip install playwright"),
    }
    there = [name for name, (found, _) in tools.items() if found]
    if there:
        yield f"optional    {', '.join(there)}: there"
    yield from (f"optional    {name}: missing (for {use})" for name, (found, use) in tools.items() if not found)
