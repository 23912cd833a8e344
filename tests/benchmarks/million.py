"""Training and evaluation beyond memory: a million images of a thousand classes, by features that are made up.

    python tests/benchmarks/million.py FOLDER [--images 1000000] [--tests 20000] [--classes 1000] [--width 512]
                                              [-p NAME VALUE ...]

The images are small JPEG files, no two of the same bytes, which are read and hashed as any are; their features, in place of
a tower's, are the mean of the directions of their classes and noise, written as `lmpt features` writes them. Processes of
their own then take 200 steps, and train and evaluate one epoch. Told are the seconds of the steps, the epoch that they
let expect and the epoch as it was, and the memory of each process: what it holds (RssAnon), and with the pages of mapped
files, which the system takes back when it needs them (RSS).
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

NOISE = 6.0


def make_files(folder: Path, n_images: int, n_tests: int, n_classes: int) -> None:
    """One picture, its number behind it in each file, and a CSV file; three classes an image, class c as (c + 10)^-1."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), "grey").save(folder / "picture.jpg")
    picture = (folder / "picture.jpg").read_bytes()
    chances = 1 / (np.arange(n_classes) + 10)
    total = n_images + n_tests
    classes = rng.choice(n_classes, (total, 3), p=chances / chances.sum())
    # every class has an image on both sides
    classes[:n_classes, 0] = classes[-n_classes:, 0] = np.arange(n_classes)
    with (folder / "data.csv").open("w") as file:
        file.write("image,labels,split\n")
        for i in range(total):
            name = f"images/{i // 1000:05d}/{i:07d}.jpg"
            if i % 1000 == 0:
                (folder / name).parent.mkdir(parents=True)
            (folder / name).write_bytes(picture + str(i).encode())
            labels = ";".join(f"thing {c:04d}" for c in sorted(set(classes[i])))
            file.write(f"{name},{labels},{'train' if i < n_images else 'test'}\n")


def make_model(folder: Path, width: int) -> None:
    """A CLIP of random weights whose features have the width of a real one's; its towers are small."""
    config = {
        "embed_dim": width,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2},
    }
    (folder / "model.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    save_file(open_clip.CLIP(**config).state_dict(), folder / "model.safetensors")


def plant(settings: dict) -> None:
    """Write the features of all images: unit vectors near the mean of the directions of their classes."""
    from lmptlib.clip.features import image_stretches, part_path, write_index
    from lmptlib.clip.loading import load_clip
    from lmptlib.clip.parts import store_part
    from lmptlib.data.loading import load_dataset

    dataset = load_dataset(settings["dataset"])
    clip, cache = load_clip(settings["model"], settings["weights"]), Path(settings["cache"])
    generator = torch.Generator().manual_seed(0)
    width = clip.encode_texts(["a thing"]).shape[1]
    directions = torch.randn(len(dataset.class_names), width, generator=generator)
    for name, split in dataset.splits.items():
        stretches = image_stretches(split, name == "train", cache)
        for stretch in stretches:
            shown = torch.from_numpy(stretch.split.shown.toarray()).float()
            means = F.normalize(shown @ directions, dim=1)
            noisy = {
                each: F.normalize(means + torch.randn(means.shape, generator=generator) * NOISE / width**0.5, dim=1)
                for each in stretch.names
            }
            store_part(noisy, part_path(cache, clip, stretch))
        write_index(cache, clip, stretches)


def memory(pid: int | str = "self") -> dict[str, float]:
    """GB that a process holds, with and without pages of files."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return {name: int(lines[name].split()[0]) / 1024**2 for name in ("RssAnon", "VmRSS")}


def steps(settings: dict, n_steps: int = 200) -> None:
    """Take some steps of the one loop, and tell their seconds and the memory before and after them."""
    from lmptlib.clip.loading import load_clip
    from lmptlib.config import resolve
    from lmptlib.data.loading import load_dataset
    from lmptlib.training.mapped import inputs_of
    from lmptlib.training.state import TrainState

    config = resolve(**settings)
    clip = load_clip(config.model, config.weights)
    inputs = inputs_of(load_dataset(config.dataset), clip, Path(config.cache), print)
    state = TrainState(config, inputs)
    state.begin_epoch()
    told = []
    n_steps = min(n_steps, state.n_steps - 20)
    for step in range(n_steps + 20):
        if step in (20, n_steps + 19):
            told.append((time.perf_counter(), memory()))
        batch = state.batch(state.learning.batch_size)
        (text,) = clip.encode_prompts([state.method.prompts(batch)])
        terms = state.method.losses(batch, text)
        state.recorder.step(terms, batch.targets, batch.known, step % state.recorded_every == 0)
        state.optimizer.zero_grad()
        terms["loss"].backward()
        state.update()
        state.advance()
    seconds = (told[1][0] - told[0][0]) / (n_steps - 1)
    print(
        f"{type(inputs).__name__}: {n_steps} steps of {state.learning.batch_size} images, {1000 * seconds:.1f} ms each"
    )
    print(f"memory after 20 steps {in_words(told[0][1])}; after {n_steps + 20} {in_words(told[1][1])}")
    print(f"an epoch of {state.n_steps:,} steps, extrapolated: {seconds * state.n_steps:.0f} s")


def epoch(settings: dict, out: Path) -> None:
    """A run of one epoch, and its evaluation."""
    from lmptlib.config import resolve
    from lmptlib.runs.run import Run
    from lmptlib.training.training import train

    lines: list[tuple[float, str]] = []

    def log(line: str) -> None:
        lines.append((time.perf_counter(), line))
        print(line.split(" (")[0], in_words(memory()), flush=True)

    run = Run(train(resolve(**settings), out, force=True, log=log))
    trained = next(at for at, line in lines if line.startswith("epoch"))
    print(f"the epoch: {run.history['seconds'].sum():.0f} s; its evaluation: {lines[-1][0] - trained:.0f} s")
    print(json.dumps({name: run.metrics["scores"]["logit"][name] for name in ("total", "ci95")}))


def in_words(held: dict[str, float]) -> str:
    return f"{held['RssAnon']:.2f} GB (with pages of files {held['VmRSS']:.2f} GB)"


def watched(command: list[str]) -> None:
    """Run a command; tell the most memory that it held, and its seconds."""
    started, most = time.monotonic(), {"RssAnon": 0.0, "VmRSS": 0.0}
    process = subprocess.Popen(command)

    def look() -> None:
        while process.poll() is None:
            try:
                held = memory(process.pid)
            except (OSError, KeyError):  # it has just ended
                return
            most.update({name: max(most[name], held[name]) for name in most})
            time.sleep(0.2)

    thread = threading.Thread(target=look)
    thread.start()
    if process.wait():
        raise SystemExit(f"{' '.join(command)}: exit {process.returncode}")
    thread.join()
    print(f"  {time.monotonic() - started:.0f} s, most memory {in_words(most)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--tests", type=int, default=20_000)
    parser.add_argument("--classes", type=int, default=1_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("-p", dest="pairs", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("--part", choices=("plant", "steps", "epoch"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    folder = given.folder.absolute()
    places = {"dataset": "data.csv", "model": "model.json", "weights": "model.safetensors", "cache": "cache"}
    settings = {name: str(folder / place) for name, place in places.items()}
    settings |= {"method": "linear_probe", "loss": "db_focal", "epochs": 1, "batch_size": 512, "device": "cpu"}
    from lmptlib.config import read_settings

    settings |= read_settings(dict(given.pairs))
    if given.part:
        whole = partial(epoch, out=folder / "outputs")
        {"plant": plant, "steps": steps, "epoch": whole}[given.part](settings)
        return
    if not (folder / "model.safetensors").exists():
        print(f"{given.images:,} images and {given.tests:,} for testing, of {given.classes:,} classes", flush=True)
        make_files(folder, given.images, given.tests, given.classes)
        make_model(folder, given.width)
        print("features", flush=True)
        watched([sys.executable, __file__, str(folder), "--part", "plant"])
    pairs = [part for pair in given.pairs for part in ("-p", *pair)]
    for part in ("steps", "epoch"):
        print(part, flush=True)
        watched([sys.executable, __file__, str(folder), "--part", part, *pairs])


if __name__ == "__main__":
    main()
