"""Make `clip-emoji.safetensors`: train the small CLIP of `clip-emoji.json` on emoji scenes with captions.

    python data/emoji/train_clip_emoji.py            # about 25 minutes on 2 cores

A scene holds up to five of the VOC classes, some of them repeated, and up to three other things of the vocabulary,
drawn with the `train` glyphs only, from a seed of its own: none is a scene of emoji-lt. Each epoch describes every scene
anew. Weights are saved in fp16; of the token table only the rows that a training caption used, with their ids.
"""

import argparse
import hashlib
import time
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from sklearn.metrics import average_precision_score

from lmptlib.data import emoji

HERE = Path(__file__).parent
SEED = 7  # of scenes, captions, weights and batches
MEAN, STD = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD


def scene(i: int) -> tuple[np.ndarray, list[str]]:
    """Scene i as pixels (64, 64, 3) and the names of its things."""
    rng = np.random.default_rng([SEED, i])
    classes, things = (list(v.values()) for v in emoji.vocabulary())
    n_things = rng.integers(1, 6)
    present = [classes[c] for c in rng.permutation(len(classes))[: rng.binomial(n_things, 0.6)]]
    objects, glyphs = emoji.compose(present, things, False, rng)
    if not objects:
        objects = [things[rng.integers(len(things))]]
        glyphs = [objects[0].glyphs[0]]
    image = emoji.draw_scene(glyphs, rng).resize((64, 64), 3)
    return np.asarray(image), [thing.name for thing in objects]


def encode_text(model, tokens: torch.Tensor) -> torch.Tensor:
    """Text features (B, D) of tokens (B, 77), computed up to the longest text of the batch."""
    length = int(tokens.argmax(-1).max()) + 1
    x = model.token_embedding(tokens[:, :length]) + model.positional_embedding[:length]
    x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask[:length, :length]))
    return F.normalize(x[torch.arange(len(x)), tokens.argmax(-1)] @ model.text_projection, dim=-1)


def augment(images: torch.Tensor) -> torch.Tensor:
    """Flip half of the images (B, 3, H, W), permute the colours of half, take the colour from a fifth.

    Hue tells one glyph from another but not one kind of thing from another: shapes must be learned.
    """
    chance = torch.rand(3, len(images)) < torch.tensor([0.5, 0.5, 0.2])[:, None]
    images = torch.where(chance[0].view(-1, 1, 1, 1), images.flip(3), images)
    images = torch.where(chance[1].view(-1, 1, 1, 1), images[:, torch.randperm(3)], images)
    return torch.where(chance[2].view(-1, 1, 1, 1), images.mean(1, keepdim=True), images)


@torch.no_grad()
def zero_shot(model, tokenizer, preprocess, split: str) -> tuple[float, float]:
    """Mean AP over the classes on a split of emoji-lt, ranked by softmax and by cosine, in percent."""
    from PIL import Image

    folder = emoji.write_emoji_lt(HERE.parent / "emoji-lt").parent
    rows = [line.split() for line in (folder / f"{split}.txt").read_text().splitlines()]
    images = torch.stack([preprocess(Image.open(folder / row[0])) for row in rows])
    labels = torch.zeros(len(rows), 20)
    for label, row in zip(labels, rows):
        label[[int(i) for i in row[1:]]] = 1
    model.eval()
    features = torch.cat([F.normalize(model.visual(batch).float(), dim=-1) for batch in images.split(250)])
    texts = encode_text(model, tokenizer([f"a photo of a {name}." for name in emoji.vocabulary()[0]]))
    cosine = features @ texts.T
    scores = {"softmax": (model.logit_scale.exp() * cosine).softmax(-1), "cosine": cosine}
    ap = {k: [average_precision_score(labels[:, c], s[:, c]) * 100 for c in range(20)] for k, s in scores.items()}
    print("  " + "  ".join(f"{name} {v:.0f}" for name, v in zip(emoji.vocabulary()[0], ap["softmax"])), flush=True)
    return np.mean(ap["softmax"]), np.mean(ap["cosine"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=36_000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--out", type=Path, default=HERE / "clip-emoji.safetensors")
    args = parser.parse_args()

    torch.manual_seed(SEED)
    started = time.time()
    with Pool() as pool:
        pixels, names = zip(*pool.imap(scene, range(args.scenes), chunksize=200))
    pixels = torch.from_numpy(np.stack(pixels))
    print(f"{len(pixels):,} scenes drawn in {time.time() - started:.0f} s", flush=True)

    open_clip.add_model_config(HERE / "clip-emoji.json")
    model, _, preprocess = open_clip.create_model_and_transforms("clip-emoji")
    model.visual.to(memory_format=torch.channels_last)
    tokenizer = open_clip.get_tokenizer("clip-emoji")
    things = {**emoji.vocabulary()[0], **emoji.vocabulary()[1]}
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))

    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
    steps = args.epochs * (len(pixels) // args.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, steps, pct_start=0.1)
    used = torch.zeros(model.vocab_size, dtype=torch.bool)
    for epoch in range(args.epochs):
        rng = np.random.default_rng([SEED, args.scenes, epoch])
        tokens = tokenizer([emoji.caption_scene([things[n] for n in scene_names], rng) for scene_names in names])
        used[tokens.unique()] = True
        losses = []
        model.train()
        for index in torch.randperm(len(pixels)).split(args.batch_size):
            if len(index) < args.batch_size:
                continue
            images = (augment(pixels[index].permute(0, 3, 1, 2) / 255) - mean) / std
            images = images.contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                image_features = F.normalize(model.visual(images).float(), dim=-1)
                text_features = encode_text(model, tokens[index]).float()
            logits = model.logit_scale.exp() * image_features @ text_features.T
            target = torch.arange(len(logits))
            loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                model.logit_scale.clamp_(max=np.log(100))
            losses.append(loss.item())
        softmax, cosine = zero_shot(model, tokenizer, preprocess, "val")
        minutes = (time.time() - started) / 60
        print(
            f"epoch {epoch + 1:2d}  loss {np.mean(losses):.3f}  zero-shot on emoji-lt's validation split: "
            f"{softmax:.1f} softmax, {cosine:.1f} cosine  ({minutes:.1f} min)",
            flush=True,
        )

    weights = {k: v.contiguous().half() for k, v in model.state_dict().items() if k != "token_embedding.weight"}
    weights["token_embedding.ids"] = used.nonzero().squeeze(1).int()
    weights["token_embedding.rows"] = model.token_embedding.weight.detach()[used].half()
    vocabulary = hashlib.sha256((HERE / "vocabulary.yaml").read_bytes()).hexdigest()
    save_file(weights, args.out, metadata={"vocabulary": vocabulary})
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB, {int(used.sum()):,} of {len(used):,} token rows")


if __name__ == "__main__":
    main()
