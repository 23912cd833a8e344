"""Which runs train together: a stack is trained in one pass of the text tower."""

from collections.abc import Hashable, Sequence

from lmptlib.methods import METHODS
from lmptlib.training.plan import Plan

# Prompts that a pass of the text tower has at most, where several runs have a part in it. [ours]
PROMPTS = {"cpu": 256, "cuda": 4096}


def stacks(plans: Sequence[Plan], most: int | None = None) -> list[list[Plan]]:
    """Plans in stacks that `train_together` takes, as equal as can be, in the order of their first ones.

    Runs of a stack share a CLIP, its device, inputs, batch size and epochs. Alone are those that learn nothing step by step,
    that read pixels, or that folds choose. most: runs in a stack; None: as many as have PROMPTS prompts together.
    """
    companies: dict[Hashable, list[Plan]] = {}
    for plan in plans:
        companies.setdefault(_company(plan), []).append(plan)
    found: list[list[Plan]] = []
    for company in companies.values():
        n_prompts = len(company[0].dataset.class_names)
        fitting = max(1, PROMPTS[company[0].config.device] // n_prompts)
        n_stacks = -(-len(company) // min(fitting, most or fitting))
        found += [company[i * len(company) // n_stacks : (i + 1) * len(company) // n_stacks] for i in range(n_stacks)]
    return found


def _company(plan: Plan) -> Hashable:
    """What runs of a stack have alike; of a run that trains alone what no other has."""
    learning = plan.config.learning
    if not learning or learning.select == "folds" or METHODS[plan.config.method].tunes_towers(learning):
        return plan.key
    return plan.reads, learning.batch_size, learning.all_epochs
