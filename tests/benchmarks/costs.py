"""What an image and a prompt cost: the figures that docs/scale.md multiplies.

    python tests/benchmarks/costs.py [--model ViT-B-16] [--device cpu] [--images 64] [--classes 100]

By a CLIP of random weights, which take as long as learned ones: milliseconds to open and preprocess a JPEG of 500 x 375 in
one thread, to encode it, and to learn a prompt in a step (its text tower forwards and backwards); the memory that a prompt
takes in a step.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file

from lmptlib.clip.loading import load_clip
from lmptlib.clip.model import Clip
from lmptlib.data.images import open_image
from lmptlib.methods.prompt_learner import PromptLearner


def seconds(work: Callable[[], object], times: int = 5) -> float:
    """The median of some runs, after one that is not counted."""
    work()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    return float(np.median(taken))


def photograph(path: Path) -> None:
    """A JPEG with about as much in it as a photograph has: noise at several scales."""
    rng = np.random.default_rng(0)
    layers = [Image.fromarray(rng.integers(0, 256, (375 // s, 500 // s, 3), np.uint8)) for s in (64, 16, 4)]
    pixels = np.mean([np.asarray(layer.resize((500, 375), Image.Resampling.BICUBIC)) for layer in layers], axis=0)
    Image.fromarray(pixels.astype(np.uint8)).save(path, quality=90)


def most_memory() -> int:
    """The most bytes that the process has held since `forget_memory`: of the GPU where there is one."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return int(lines["VmHWM"].split()[0]) * 1024


def forget_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")


def prompt_costs(clip: Clip, n_classes: int) -> tuple[float, float]:
    """Seconds and bytes of a prompt in a step, of as many classes."""
    names = tuple(f"thing {i}" for i in range(n_classes))
    learner = PromptLearner(clip, names, "a photo of a", 4, True, "end", torch.Generator()).to(clip.device)

    def step() -> None:
        (text,) = clip.encode_prompts([learner()])
        assert text is not None
        text.sum().backward()

    forget_memory()
    before = most_memory()
    taken = seconds(step, 3)
    return taken / n_classes, (most_memory() - before) / n_classes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT-B-16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--classes", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        weights, picture = Path(folder) / "weights.safetensors", Path(folder) / "picture.jpg"
        save_file(open_clip.create_model(given.model).state_dict(), weights)
        clip = load_clip(given.model, str(weights), given.device)
        photograph(picture)
        size = picture.stat().st_size
        opened = seconds(lambda: [clip.preprocess(open_image(picture)) for _ in range(8)]) / 8
        pixels = clip.preprocess(open_image(picture)).expand(given.images, -1, -1, -1)
        batches = pixels.split(64 if given.device == "cuda" else 8)
        encoded = seconds(lambda: [clip.encode_images(batch) for batch in batches], 3) / given.images
    learned, held = prompt_costs(clip, given.classes)
    threads = f"{torch.get_num_threads()} threads" if given.device == "cpu" else torch.cuda.get_device_name()
    print(f"{given.model} on {threads}, torch {torch.__version__}")
    print(f"an image: {1000 * opened:.1f} ms to open and preprocess a JPEG of {size / 1000:.0f} kB, in one thread;")
    print(f"          {1000 * encoded:.1f} ms to encode, flipped as well {2000 * encoded:.1f} ms")
    print(f"a prompt: {1000 * learned:.1f} ms and {held / 1e6:.1f} MB in a step of {given.classes} classes")


if __name__ == "__main__":
    main()
