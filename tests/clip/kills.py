"""`python tests/clip/kills.py CARD CACHE KILLS`: kills a writer of caches at random moments; whatever it left must load.

A process of its own, because it forks writers after CLIP is loaded, and pytest's workers have threads.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from lmptlib.clip import features
from lmptlib.clip.features import extract
from lmptlib.clip.loading import load_clip
from lmptlib.data.digests import MANIFEST, verify_digests
from lmptlib.data.loading import load_dataset


def write_for_ever(cache: Path, paths: list[Path]) -> None:
    tensors = {path: load_file(path) for path in cache.glob("*.safetensors")}
    # One that takes its time to write.
    tensors[cache / "large.safetensors"] = {"plain": torch.rand(20_000, 128)}
    while True:
        for path, content in tensors.items():
            features._store(content, path)
        (cache / MANIFEST).unlink(missing_ok=True)
        verify_digests(paths, cache)


def main(card: str, cache: Path, kills: int) -> None:
    silent, said = (lambda line: None), []
    clip = load_clip(log=silent)
    expected = extract(clip, load_dataset(card), cache=cache, log=silent)
    paths = list(load_dataset(card).train.paths)
    draw = random.Random()
    for _ in range(kills):
        writer = os.fork()
        if not writer:
            write_for_ever(cache, paths)
        time.sleep(draw.uniform(0.02, 0.3))
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        found = extract(clip, load_dataset(card), cache=cache, log=said.append)
        for name in ("train", "train_flipped", "test", "captions"):
            assert torch.equal(getattr(found, name), getattr(expected, name)), name
        large = cache / "large.safetensors"
        assert not large.exists() or features._load(large, ("plain",), 20_000, said.append)
    assert said == [], said
    print("all whole")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
