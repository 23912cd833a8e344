"""One file from a hostile server: every fault ends in the right bytes or in a line, and never in a wrong file."""

import hashlib
import io
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hostile import Server, serve
from PIL import Image

from lmptlib.data.download import _check_jpeg
from lmptlib.data.transfer import PIECE, Transfer
from lmptlib.errors import DataError


def jpeg(seed: int = 0, side: int = 400) -> bytes:
    """A picture of noise, which JPEG cannot make small: some ten pieces."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=90)
    return file.getvalue()


PICTURE = jpeg()
# Where a connection that drops midway is taken up.
HALF = len(PICTURE) // 2 // PIECE * PIECE
KINDS = {
    # an archive, whose size and checksum are known, and a picture, of which nothing is
    "archive": {"size": len(PICTURE), "known_hash": f"md5:{hashlib.md5(PICTURE, usedforsecurity=False).hexdigest()}"},
    "picture": {"check": _check_jpeg},
}
PASSING = ("drops", "truncates", "delays", "stalls", "redirects", "says_less", "says_more", "lacks_the_last_byte")
PASSING += (
    "wrong_file",
    "wrong_range",
    "web_page",
    "empty",
    "busy",
    "busy_until",
    "busy_somehow",
    "down",
    "sends_more",
)
STAYING = sorted({*PASSING, "gone", "busy_for_days"} - {"redirects", "says_more"})


@pytest.fixture
def server():
    with serve() as server:
        server.files["file"] = PICTURE
        yield server


class Patient(Transfer):
    """A transfer that notes how long it would wait."""

    def __init__(self, **settings):
        self.pauses: list[float] = []
        self.lines: list[str] = []
        super().__init__(self.lines.append, pause=self.pauses.append, timeout=(0.2, 0.2), **settings)


def ranges(server: Server) -> list[str | None]:
    return [asked for _, asked in server.seen]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_ends_in_the_right_bytes(server, tmp_path, fault, kind):
    server.faults["file"] = [fault]
    path = Patient().fetch([f"{server.url}file"], tmp_path / "file", **KINDS[kind])
    assert path.read_bytes() == PICTURE and len(server.seen) > 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", STAYING)
def test_a_fault_that_stays_is_refused(server, tmp_path, fault, kind):
    server.faults["file"] = [fault] * 40
    with pytest.raises(DataError) as error:
        Patient(tries=2).fetch([f"{server.url}file"], tmp_path / "file", **KINDS[kind])
    assert len(error.value.problems) == 1 and f"file: {server.url}file: " in error.value.problems[0]
    assert {path.name for path in tmp_path.iterdir()} <= {"file.part"}
    # What is left is the beginning of a file, and is not taken for one the next time.
    server.faults.clear()
    assert Patient().fetch([f"{server.url}file"], tmp_path / "file", **KINDS[kind]).read_bytes() == PICTURE


def test_redirects_without_end_and_no_server_are_refused(server, tmp_path):
    server.files["loop"] = b""
    server.faults["loop"] = ["redirects"] * 100
    with pytest.raises(DataError, match="30 redirects"):
        Patient().fetch([f"{server.url}loop"], tmp_path / "loop", **KINDS["archive"])
    with pytest.raises(DataError, match="Invalid URL"):
        Patient().fetch(["http:///file"], tmp_path / "file", **KINDS["archive"])
    patient = Patient(tries=3, backoff=0.5)
    with pytest.raises(DataError, match=r"its name is not resolved \(no network\?\)"):
        patient.fetch(["http://nobody.invalid/file"], tmp_path / "file", **KINDS["archive"])
    assert patient.pauses == [1]
    patient.pauses.clear()
    patient.lines.clear()
    with pytest.raises(DataError, match=r"127\.0\.0\.1"):
        patient.fetch(["http://127.0.0.1:1/file"], tmp_path / "file", **KINDS["archive"])
    assert patient.pauses == [1, 2]
    assert all("tries again in" in line for line in patient.lines)


def test_it_goes_on_where_it_was(server, tmp_path):
    server.faults["file"] = ["drops", "wrong_range"]
    Patient().fetch([f"{server.url}file"], tmp_path / "file", **KINDS["archive"])
    assert ranges(server) == [None, f"bytes={HALF}-", f"bytes={HALF}-"]


def test_without_a_checksum_it_begins_again(server, tmp_path):
    """A picture made of two servers' halves may well be decoded."""
    server.faults["file"] = ["drops"]
    Patient().fetch([f"{server.url}file"], tmp_path / "file", **KINDS["picture"])
    assert ranges(server) == [None, None]


def test_a_server_without_ranges_starts_again(server, tmp_path):
    server.faults["file"], server.ranges = ["drops", "stalls"], False
    path = Patient().fetch([f"{server.url}file"], tmp_path / "file", **KINDS["archive"])
    assert ranges(server) == [None, f"bytes={HALF}-", f"bytes={HALF}-"] and path.read_bytes() == PICTURE


def test_progress_gives_new_tries(server, tmp_path):
    """More drops than tries, each of them with a further piece."""
    server.faults["file"] = ["halves"] * 3
    patient = Patient(tries=1, backoff=0.5)
    path = patient.fetch([f"{server.url}file"], tmp_path / "file", **KINDS["archive"])
    assert path.read_bytes() == PICTURE and patient.pauses == [0.5] * 3
    server.faults["file"] = ["halves", "down"]
    with pytest.raises(DataError, match="status 503"):
        Patient(tries=1).fetch([f"{server.url}file"], tmp_path / "again", **KINDS["archive"])


def test_the_wait_is_the_servers(server, tmp_path):
    server.faults["file"] = ["busy", "down", "busy_until", "busy_somehow"]
    patient = Patient(backoff=0.25)
    patient.fetch([f"{server.url}file"], tmp_path / "file", **KINDS["archive"])
    assert patient.pauses == [7, 1, 2, 4]  # 0.25 doubled at each failure but the first, where the server said 7
    assert "status 429, wait 7 s; tries again in 7 s" in patient.lines[0]
    server.faults["file"] = ["busy_for_days"]
    patient = Patient()
    with pytest.raises(DataError, match="status 429, wait 2"):
        patient.fetch([f"{server.url}file"], tmp_path / "other", **KINDS["archive"])
    assert not patient.pauses


@pytest.mark.parametrize("fault", ["gone", "wrong_file", "down", "drops", "web_page", "busy_for_days"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_next_mirror_has_it(server, tmp_path, fault, kind):
    with serve() as mirror:
        mirror.files["file"] = PICTURE
        server.faults["file"] = [fault] * 20
        patient = Patient(tries=2)
        urls = [f"{server.url}file", f"{mirror.url}file"]
        assert patient.fetch(urls, tmp_path / "file", **KINDS[kind]).read_bytes() == PICTURE
        assert patient.lines[-1].endswith("the next address")
        if (fault, kind) == ("drops", "archive"):
            assert ranges(mirror) == [f"bytes={HALF}-"]


def test_what_was_begun_wrong_is_begun_again(server, tmp_path):
    for begun in (b"wrong" * 100, b"x" * len(PICTURE), b"x" * 2 * len(PICTURE)):
        (tmp_path / "file.part").write_bytes(begun)
        path = Patient().fetch([f"{server.url}file"], tmp_path / "file", **KINDS["archive"])
        assert path.read_bytes() == PICTURE
        path.unlink()


def test_a_file_that_is_there_is_not_fetched(server, tmp_path):
    (tmp_path / "file").write_bytes(PICTURE)
    Patient().fetch([f"{server.url}file"], tmp_path / "file", **KINDS["archive"])
    assert not server.seen


FETCH = """
import sys
from pathlib import Path
from lmptlib.data.transfer import Transfer
Transfer().fetch([sys.argv[1]], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_process_leaves_its_part(server, tmp_path, number):
    server.faults["file"] = ["holds"]
    path, part = tmp_path / "file", tmp_path / "file.part"
    arguments = [f"{server.url}file", str(path), *map(str, KINDS["archive"].values())]
    process = subprocess.Popen([sys.executable, "-c", FETCH, *arguments], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size) and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(30) != 0 and not path.exists()
    left = part.stat().st_size
    assert PICTURE.startswith(part.read_bytes()) and 0 < left < len(PICTURE)
    assert Patient().fetch([f"{server.url}file"], path, **KINDS["archive"]).read_bytes() == PICTURE
    assert ranges(server) == [None, f"bytes={left}-"]
