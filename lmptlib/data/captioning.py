"""Captions for training images that have none: by a model that describes pictures, or made of the labels."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import torch
from filelock import FileLock
from PIL import Image

from lmptlib.data.dataset import Dataset, Split
from lmptlib.data.formats.files import one_line
from lmptlib.data.images import open_image
from lmptlib.data.text import with_article
from lmptlib.data.transfer import Progress
from lmptlib.errors import DataError, first_line
from lmptlib.paths import held, write_atomically, writing

# BLIP (Li et al., ICML 2022), fine-tuned on COCO's captions.
MODEL = "Salesforce/blip-image-captioning-base"
# CLIP's "a photo of a {}." (Radford et al., ICML 2021) and, for some variety, three more [ours].
TEMPLATES = ("a photo of {}.", "a picture of {}.", "an image of {}.", "a view of {}.")
# What stands for a caption that says nothing [ours].
NOTHING = "a photo."
# Longer captions are cut [ours]: CLIP reads 77 tokens, and greedy models that have no more to say begin to repeat it.
_LONGEST = 40


def template_captions(dataset: Dataset, seed: int = 0) -> list[str]:
    """A caption (N,) for each training image, made of its labels: they say nothing that the labels do not.

    Which template, and the order in which classes are named, are drawn by a hash of the seed and the image's name.
    """
    return [
        template_caption([dataset.class_names[c] for c in dataset.train.classes(image)], f"{seed} {name}")
        for image, name in enumerate(dataset.train.names)
    ]


def template_caption(labels: Sequence[str], drawn_by: str) -> str:
    """A sentence that names classes. drawn_by: the same text draws the same sentence.

    >>> from lmptlib.data.captioning import template_caption
    >>> template_caption(["dining table", "person", "aeroplane"], "0 img/1.jpg")
    'a photo of a dining table, a person and an aeroplane.'
    """

    def drawn(what: str) -> str:
        return hashlib.sha256(f"{drawn_by} {what}".encode()).hexdigest()

    # in words as prompts have them
    things = [with_article(label.replace("_", " ")) for label in sorted(labels, key=drawn)]
    if not things:
        return NOTHING
    told = " and ".join([", ".join(things[:-1]), things[-1]] if len(things) > 1 else things)
    return TEMPLATES[int(drawn(""), 16) % len(TEMPLATES)].format(told)


class Captioner:
    """A transformers model that describes pictures, by its name or the folder that it lies in; greedy, so always the same words.

    prompt: how captions begin, for models that go on from a text, as BLIP does. Raises ValueError, one line, where transformers
    is missing, or the model cannot be opened.
    """

    def __init__(self, model: str = MODEL, prompt: str = ""):
        if find_spec("transformers") is None:
            raise ValueError("captions by a model need transformers: pip install 'lmptlib[captions]'")
        try:
            self.processor, network = _opened_model(model)
        except (OSError, ValueError, ImportError) as error:
            raise ValueError(f"{model}: cannot be opened to make captions: {first_line(error)}") from None
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.network = network.to(self.device).eval()
        self.prompt = prompt
        begins = f", beginning with '{prompt}'" if prompt else ""
        self.name = f"the model {model}, weights {_fingerprint(self.network)}{begins}"

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[Image.Image]) -> list[str]:
        """A caption for each picture, of one line; it may be empty."""
        text = {"text": [self.prompt] * len(pictures)} if self.prompt else {}
        inputs = self.processor(images=list(pictures), return_tensors="pt", **text).to(self.device)
        tokens = self.network.generate(**inputs, do_sample=False, num_beams=1, max_new_tokens=_LONGEST)
        return [one_line(caption) for caption in self.processor.batch_decode(tokens, skip_special_tokens=True)]


def _opened_model(model: str) -> tuple[Any, Any]:
    """The processor and the network of a folder, or of a name, from this machine where they are on it.

    Raises ValueError where no network is reached, which transformers tries for minutes, and what that raises.
    """
    from huggingface_hub import constants
    from transformers import AutoModelForImageTextToText, AutoProcessor

    def opened(**where: bool) -> tuple[Any, Any]:
        return AutoProcessor.from_pretrained(model, **where), AutoModelForImageTextToText.from_pretrained(
            model, **where
        )

    if Path(model).is_dir():
        return opened()
    if model.startswith(("/", ".", "~")):
        raise ValueError("there is no such folder")
    with suppress(OSError):
        return opened(local_files_only=True)
    try:
        requests.head(constants.ENDPOINT, timeout=10)
    except requests.RequestException:
        host = urlsplit(constants.ENDPOINT).netloc
        raise ValueError(
            f"it is not on this machine, and {host} cannot be reached: name a folder, or --templates"
        ) from None
    return opened()


def _fingerprint(network: torch.nn.Module) -> str:
    """A hash of a network's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def model_captions(
    split: Split,
    captioner: Captioner,
    path: Path,
    batch: int = 16,
    log: Callable[[str], None] = print,
    force: bool = False,
    cache: Path | None = None,
) -> list[str]:
    """A caption (N,) for each image of a split; empty where the model says nothing.

    path: a file of JSON lines where each is kept as it comes, by a digest of its image. What is there already is not made
    again. Batches are the same ones whether it was stopped or not, and so the captions are, too. force: begin anew where those
    that are kept are by another model. Raises DataError, one line an image that cannot be decoded, when the others are done, and DiskError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with held(FileLock(f"{path}.lock"), f"waiting for another process that writes {path}", log):
        digests = split.digests(cache)
        kept = _kept(path, captioner.name, force)
        batches = [range(i, min(i + batch, len(split))) for i in range(0, len(split), batch)]
        open_batches = [rows for rows in batches if any(digests[row] not in kept for row in rows)]
        total, done, problems = sum(map(len, open_batches)), 0, list[str]()
        log(f"captions: {len(split) - total:,} of {len(split):,} are kept in {path}")
        progress, started = Progress(log), time.monotonic()
        with writing(path.parent), ThreadPoolExecutor() as pool, path.open("a", encoding="utf-8") as file:
            for rows in open_batches:
                opened = dict(zip(rows, pool.map(_opened, [split.paths[row] for row in rows])))
                problems += [f"{split.where(row)}: {error}" for row, error in opened.items() if isinstance(error, str)]
                pictures = {row: picture for row, picture in opened.items() if not isinstance(picture, str)}
                captions = captioner(list(pictures.values())) if pictures else []
                for row, caption in zip(pictures, captions):
                    if digests[row] not in kept:
                        kept[digests[row]] = caption
                        line = {"image": split.names[row], "digest": digests[row], "caption": caption}
                        file.write(json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()
                done += len(rows)
                speed = done / (time.monotonic() - started)
                told = f"{speed:.3g} images/s, {(total - done) / speed / 60:.1f} min left"
                progress(f"captions: {len(split) - total + done:,} of {len(split):,}, {told}")
        if problems:
            raise DataError([*problems, f"the other captions are kept in {path}, and the same command goes on"])
        if total:
            log(f"captions: {total:,} in {time.monotonic() - started:.1f} s, {speed:.3g} images/s")
        return [kept[digest] for digest in digests]


def _opened(path: Path) -> Image.Image | str:
    """A picture, or why it cannot be decoded."""
    try:
        return open_image(path)
    except ValueError as error:
        return str(error)


def _kept(path: Path, made_by: str, force: bool) -> dict[str, str]:
    """Captions by the digests of their images; the file begins where there is none. A line that a kill cut off is taken away.

    Raises DataError where they are by something else (unless `force`), or the file is damaged.
    """
    first = json.dumps({"captions_by": made_by}, ensure_ascii=False) + "\n"
    if not path.exists():
        write_atomically(path, first.encode())
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    lines = [_line(path, i, line) for i, line in enumerate(whole.split(b"\n")[:-1], 1)]
    there = lines[0].get("captions_by") if lines else None
    if there != made_by:
        if not force:
            what = f"captions by {there or 'nothing that is known'}, and not by {made_by}"
            raise DataError([f"{path}: {what}; take another --name, or --force to begin anew"])
        write_atomically(path, first.encode())
        return {}
    if whole != content:
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return {line["digest"]: line["caption"] for line in lines[1:]}


def _line(path: Path, number: int, line: bytes) -> dict[str, str]:
    """A line of the file that captions are kept in. Raises DataError."""
    try:
        told = json.loads(line)
    except ValueError:
        told = None
    wanted = {"captions_by"} if number == 1 else {"image", "digest", "caption"}
    if not isinstance(told, dict) or told.keys() != wanted or not all(isinstance(text, str) for text in told.values()):
        raise DataError([f"{path} line {number}: not as it was written; delete the file to begin anew"])
    return told
