"""What is learned, one file a family; `METHODS` has them by name.

Adding a method is a file, a line here and a test: CONTRIBUTING.md shows it in full.
"""

from lmptlib.errors import nearest
from lmptlib.methods.ballad import Ballad
from lmptlib.methods.base import Learning, Method
from lmptlib.methods.coop import CoOp
from lmptlib.methods.ensemble import Ensemble
from lmptlib.methods.gda import GDA
from lmptlib.methods.kernel import Kernel
from lmptlib.methods.lda import LDA
from lmptlib.methods.linear_probe import LinearProbe
from lmptlib.methods.lmpt import LMPT
from lmptlib.methods.logistic import Logistic
from lmptlib.methods.mil_lda import MilLDA
from lmptlib.methods.prompts_and_probe import PromptsAndProbe
from lmptlib.methods.ridge import Ridge
from lmptlib.methods.two_stage import CRT, LWS, LogitAdjusted, TauNorm
from lmptlib.methods.zero_shot import ZeroShot, ZeroShotTemplates

METHODS: dict[str, type[Method]] = {
    "zero_shot": ZeroShot,  # "a photo of a {}."
    "zero_shot_templates": ZeroShotTemplates,  # the mean over seven templates
    "coop": CoOp,
    "lmpt": LMPT,
    "ballad": Ballad,  # both towers tuned, then a linear adapter on balanced classes
    "linear_probe": LinearProbe,
    "prompts_and_probe": PromptsAndProbe,
    "tau_norm": TauNorm,
    "logit_adjusted": LogitAdjusted,
    "lws": LWS,
    "crt": CRT,
    "ridge": Ridge,
    "lda": LDA,
    "gda": GDA,
    "logistic": Logistic,
    "kernel": Kernel,
    "mil_lda": MilLDA,
    "ensemble": Ensemble,  # of closed forms, with a share of the prompts
}

_TITLES = {
    "zero_shot": "zero-shot",
    "zero_shot_templates": "zero-shot templates",
    "coop": "CoOp",
    "lmpt": "LMPT",
    "ballad": "BALLAD",
    "tau_norm": "tau-norm",
    "logit_adjusted": "logit-adjusted",
    "lws": "LWS",
    "crt": "cRT",
    "lda": "LDA",
    "gda": "GDA",
    "mil_lda": "MIL-LDA",
}


def method_title(method: str) -> str:
    """A method's name for reading: `LMPT`, `zero-shot`; of one without a title its own, with spaces."""
    return _TITLES.get(method, method.replace("_", " "))


def learns(method: str) -> bool:
    """Whether a method learns step by step: has epochs, a loss and a seed. Raises ValueError for one that is not here."""
    if method not in METHODS:
        raise ValueError(f"unknown method '{method}'.{nearest(method, METHODS)}")
    return issubclass(METHODS[method].Settings, Learning)
