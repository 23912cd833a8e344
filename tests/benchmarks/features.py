"""`lmpt features` against bare decoding and a bare tower on the same machine: images a second, and memory.

`python tests/benchmarks/features.py --n 50000 --model ViT-B-32 --weights FILE` draws the images into --folder where they are not
there, measures the two alone, runs the command as a process of its own with an empty cache, and prints everything. With
`--kill-after SECONDS` the command is killed (SIGKILL) so long after its first part was begun, and started again. `--random`
writes random weights of the model to --weights first: they take as long as trained ones.
"""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # before torch is imported, as lmpt does

import argparse
import csv
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import open_clip
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file

from lmptlib.clip.loading import load_clip
from lmptlib.clip.model import Clip
from lmptlib.data.images import open_image

SHAPES = ("ellipse", "rectangle", "rounded_rectangle", "line")


def draw_image(path: Path, number: int) -> None:
    """256 x 256 pixels, some shapes on a plain ground: a JPEG of a few kilobytes, always the same for a number."""
    rng = np.random.default_rng(number)
    image = Image.new("RGB", (256, 256), tuple(rng.integers(0, 256, 3).tolist()))
    pen = ImageDraw.Draw(image)
    for shape in (SHAPES[number % 4], SHAPES[number // 4 % 4]):
        left, upper = rng.integers(0, 160, 2).tolist()
        width, height = rng.integers(24, 96, 2).tolist()
        getattr(pen, shape)((left, upper, left + width, upper + height), fill=tuple(rng.integers(0, 256, 3).tolist()))
    image.save(path, quality=85)


def draw_all(folder: Path, n: int) -> list[Path]:
    """n images and the CSV file that lists them; every fiftieth is a test image."""
    paths = [folder / "images" / f"{i // 1000:03}" / f"{i:06}.jpg" for i in range(n)]
    for part in {path.parent for path in paths}:
        part.mkdir(parents=True, exist_ok=True)
    missing = [i for i, path in enumerate(paths) if not path.exists()]
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda i: draw_image(paths[i], i), missing))
    with (folder / "data.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "labels", "split"])
        for i, path in enumerate(paths):
            labels = ";".join(sorted({SHAPES[i % 4], SHAPES[i // 4 % 4]}))
            table.writerow([path.relative_to(folder), labels, "train" if i % 50 else "test"])
    return paths


def decoding_rate(clip: Clip, paths: list[Path]) -> float:
    """Images a second that all threads decode and preprocess, and nothing else is done."""
    started = time.monotonic()
    with ThreadPoolExecutor() as threads:
        for _ in threads.map(lambda path: clip.preprocess(open_image(path)).sum(), paths):
            pass
    return len(paths) / (time.monotonic() - started)


def tower_rate(clip: Clip, paths: list[Path]) -> float:
    """Images a second of the tower alone, plain and flipped, in the command's batches."""
    size = 64 if clip.device == "cuda" else 8
    plain = torch.stack([clip.preprocess(open_image(path)) for path in paths[:size]])
    views = [plain, plain.flip(-1)]

    def encode() -> int:
        return max(len(clip.encode_images(view).cpu()) for view in views)

    encode()
    started, done = time.monotonic(), 0
    while done < len(paths):
        done += encode()
    return done / (time.monotonic() - started)


class Measured(NamedTuple):
    """What was seen of a process: its lines with their times, its memory (seconds, own MB, mapped MB), its seconds, status."""

    lines: list[tuple[float, str]]
    memory: list[tuple[float, int, int]]
    seconds: float
    status: int

    def since_begun(self) -> float:
        """Seconds from the line before the first part to that of the last one."""
        begun = next(at for at, line in self.lines if line.endswith("to make"))
        return max(at for at, line in self.lines if line.startswith("[")) - begun


def memory_of(process: int) -> tuple[int, int]:
    """Megabytes of a process and its children: their own (RssAnon), and of files that are mapped (RssFile)."""
    own = mapped = 0
    tree = [process]
    while tree:
        one = Path(f"/proc/{tree.pop()}")
        try:
            fields = dict(re.findall(r"(RssAnon|RssFile):\s+(\d+)", (one / "status").read_text()))
            children = (one / "task" / one.name / "children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        own, mapped = own + int(fields.get("RssAnon", 0)), mapped + int(fields.get("RssFile", 0))
        tree += map(int, children)
    return own // 1024, mapped // 1024


def run(command: list[str], kill_after: float | None) -> Measured:
    started, lines, memory = time.monotonic(), list[tuple[float, str]](), list[tuple[float, int, int]]()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)

    def listen() -> None:
        for line in process.stdout or ():
            lines.append((time.monotonic() - started, line.rstrip()))
            print(f"  {lines[-1][0]:8.1f} s  {line}", end="", flush=True)

    listener = threading.Thread(target=listen)
    listener.start()
    while process.poll() is None:
        now = time.monotonic() - started
        memory.append((now, *memory_of(process.pid)))
        begun = [at for at, line in list(lines) if line.endswith("to make")]
        if kill_after is not None and begun and now > begun[0] + kill_after:
            process.kill()
            process.wait()
            break
        time.sleep(0.2)
    listener.join()
    return Measured(lines, memory, time.monotonic() - started, process.returncode)


def tell_memory(measured: Measured) -> None:
    peak, mapped = (max(row[i] for row in measured.memory) for i in (1, 2))
    fifths = np.array_split([row[1] for row in measured.memory], 5)
    tenth = ", ".join(str(int(fifth.max())) for fifth in fifths if len(fifth))
    print(f"memory: at most {peak} MB of its own (RssAnon); in fifths of its time {tenth}; mapped files {mapped} MB")


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--n", type=int, default=50_000)
    reader.add_argument("--folder", type=Path, default=Path("benchmark-features"))
    reader.add_argument("--model", default="clip-emoji")
    reader.add_argument("--weights")
    reader.add_argument("--random", action="store_true")
    reader.add_argument("--alone", type=int, default=2_000, help="images that the two are measured with, alone")
    reader.add_argument("--workers", type=int, default=1)
    reader.add_argument("--kill-after", type=float)
    given = reader.parse_args()
    if given.random and not given.weights:
        reader.error("--random writes the weights to --weights: name a file")
    if given.random and not Path(given.weights).exists():
        save_file(open_clip.create_model(given.model, load_weights=False).state_dict(), given.weights)
    started = time.monotonic()
    paths = draw_all(given.folder.absolute(), given.n)
    size = sum(path.stat().st_size for path in paths[:1000]) / len(paths[:1000])
    print(f"{given.n:,} images of about {size / 1000:.1f} KB in {given.folder}, {time.monotonic() - started:.0f} s")

    device = "cuda" if torch.cuda.is_available() else "cpu"
    clip = load_clip(given.model, given.weights, device)
    machine = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads of torch, {device}"
    print(f"machine: {machine}, torch {torch.__version__}; load {os.getloadavg()[0]:.1f} before")
    some = paths[: given.alone]
    rates: dict[str, Callable[[Clip, list[Path]], float]] = {"decoding": decoding_rate, "tower": tower_rate}
    alone = {name: rate(clip, some) for name, rate in rates.items()}
    for name, rate in alone.items():
        print(f"bare {name}: {rate:,.1f} images/s ({len(some):,} images)")
    del clip

    cache = given.folder.absolute() / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    words = ["features", str(given.folder.absolute() / "data.csv"), "--workers", str(given.workers)]
    words += ["-p", "cache", str(cache), "-p", "model", given.model]
    words += ["-p", "weights", str(Path(given.weights).absolute())] if given.weights else []
    command = [sys.executable, "-m", "lmptlib.suite.cli.main", *words]
    print(f"lmpt {' '.join(words)}")
    if given.kill_after is not None:
        killed = run(command, given.kill_after)
        print(f"killed after {killed.seconds:.1f} s: {len(list(cache.glob('*.safetensors')))} parts are there, whole")
        tell_memory(killed)
    there = len(list(cache.glob("*.safetensors")))
    measured = run(command, None)
    if measured.status:
        raise SystemExit(f"it ended with status {measured.status}")
    told = next(line for _, line in measured.lines if line.endswith("to make"))
    done = [line for _, line in measured.lines if line.startswith("[")]
    print(f"{there} parts were there; {told}; {len(done)} made; it took {measured.seconds:.1f} s in all")
    tell_memory(measured)
    images = int(re.findall(r"of ([\d,]+) images", done[-1])[0].replace(",", ""))
    rate, slower = images / measured.since_begun(), min(alone, key=lambda name: alone[name])
    print(f"lmpt features: {rate:,.1f} images/s ({images:,} images in {measured.since_begun():.1f} s)")
    print(f"of the slower alone, {slower}: {rate / alone[slower]:.0%}; load {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
