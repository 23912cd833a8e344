"""All that `lmpt bench` measures, on one device."""

from collections.abc import Callable, Iterator

from lmptlib.benchmark.bars import Row
from lmptlib.benchmark.problems import COCO_LT, VOC_LT, Problem, random_clip, random_problem, real_problem
from lmptlib.benchmark.training import FULL, QUICK, QUICKEST, Effort, image_costs, training_rows
from lmptlib.config import Config, resolve

SIZES = (VOC_LT, COCO_LT)


def problems(
    device: str, own: Config | None, quick: bool, log: Callable[[str], None]
) -> Iterator[tuple[list[Problem], Effort]]:
    """Problems of one CLIP after the other, each CLIP opened when its turn comes, and how much is measured of them."""
    small = QUICK if quick else FULL
    yield [real_problem(resolve(device=device), "emoji", log)], small
    if own:
        yield [real_problem(own, log=log)], small
    large = QUICKEST if quick else FULL
    for model in ("ViT-B-16",) if quick else ("ViT-B-16", "RN50"):
        clip = random_clip(model, device)
        yield [random_problem(clip, size) for size in (SIZES[:1] if quick else SIZES)], large


def bench(device: str, own: Config | None = None, quick: bool = False, log: Callable[[str], None] = print) -> list[Row]:
    """Every row, problem by problem."""
    rows: list[Row] = []
    for of_clip, effort in problems(device, own, quick, log):
        images = image_costs(of_clip[0], effort)
        for problem in of_clip:
            log(f"{problem.name} ...")
            rows += training_rows(problem, images, effort)
    return rows
