"""What the tests of the suite share: nothing was drawn before, so that colours begin anew."""

import pytest

from lmptlib.suite.figures import style


@pytest.fixture(autouse=True)
def nothing_drawn(monkeypatch):
    monkeypatch.setattr(style, "_DRAWN", {})
