"""One file over HTTP, from servers that drop, truncate, delay, redirect or lie: whole and right, or not at all.

Pooch compares with the checksum and gives a file its name; here is what it leaves out: going on with a partial file, trying
again, waiting as long as the server asks, mirrors.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import InvalidHeader, NameResolutionError
from urllib3.util import Retry

from lmptlib.errors import DataError, first_line, shorten

# What arrives of a piece when the connection breaks is lost, and a whole piece is not.
PIECE = 1 << 14
# What passes: too many requests, and a server that is down or overloaded.
_PASSING_STATUS = (408, 425, 429, 500, 502, 503, 504)
_BROKEN = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


class Progress:
    """Lines of progress, one in so many seconds."""

    def __init__(self, log: Callable[[str], None], every: float = 5):
        self.log, self.every, self._last = log, every, time.monotonic()

    def __call__(self, line: str) -> None:
        if time.monotonic() - self._last >= self.every:
            self._last = time.monotonic()
            self.log(line)


class Transfer:
    """Fetches files by pooch, each tried `tries` times at an address, counted from its last progress.

    The wait between two tries begins with `backoff` seconds and doubles; where the server says Retry-After, it is that, and
    an address that asks for more than `longest` seconds is given up. pause: waits so many seconds. timeout: seconds for a
    connection, and between two pieces of an answer.
    """

    def __init__(
        self,
        log: Callable[[str], None] = print,
        tries: int = 5,
        backoff: float = 1,
        longest: float = 600,
        timeout: tuple[float, float] = (15, 60),
        pause: Callable[[float], object] = time.sleep,
    ):
        self.log, self.tries, self.backoff, self.longest = log, tries, backoff, longest
        self.timeout, self.pause = timeout, pause
        self.session = requests.Session()
        # Ranges and lengths are those of the file itself, and of nothing packed on the way.
        self.session.headers["Accept-Encoding"] = "identity"
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, HTTPAdapter(pool_maxsize=32))
        # It says the checksum of each file that has none to compare with.
        pooch.get_logger().setLevel("WARNING")

    def fetch(
        self,
        urls: Sequence[str],
        path: Path,
        size: int | None = None,
        known_hash: str | None = None,
        check: Callable[[Path], None] | None = None,
    ) -> Path:
        """The file at `path`, from the first of the addresses that gives the right one; nothing is fetched where it is there.

        known_hash: `md5:...` or `sha256:...`; with it, what is there of `path`.part is gone on with, for the checksum proves
        the whole. Without it every try starts from the beginning. check: raises ValueError where the content is wrong. Raises
        DataError, a line an address, where none gives the file; a partial file stays.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        receive = partial(self._try_often, part=part, size=size, resumes=known_hash is not None, check=check)
        problems: list[str] = []
        for url in urls:
            if problems:
                self.log(f"{problems[-1]}; the next address")
            for last in (False, True):
                try:
                    return Path(pooch.retrieve(url, known_hash, path.name, path.parent, downloader=receive))
                except requests.RequestException as error:
                    problems.append(f"{path.name}: {url}: {_reason(error)}")
                    break
                except ValueError as error:
                    # Also what was gone on with may have been wrong: once more from the start.
                    part.unlink(missing_ok=True)
                    if last:
                        problems.append(f"{path.name}: {url}: refused, not the right file: {first_line(error)}")
        raise DataError(problems)

    def _try_often(
        self,
        url: str,
        output: str,
        _: object,
        part: Path,
        size: int | None,
        resumes: bool,
        check: Callable[[Path], None] | None,
    ) -> None:
        """Pooch's downloader: the content of `url` in the file `output`. Raises RequestException, or ValueError of `check`."""
        failures, furthest = 0, _size(part)
        while True:
            try:
                self._receive(url, part, size, _size(part) if resumes else 0)
                break
            except requests.RequestException as error:
                failures = 0 if _size(part) > furthest else failures + 1
                furthest = max(furthest, _size(part))
                asked = _asked(error)
                # without a network no name is resolved, however often one asks
                tries = min(2, self.tries) if _unresolved(error) else self.tries
                if not _passes(error) or failures >= tries or asked > self.longest:
                    raise
                wait = asked or self.backoff * 2**failures
                self.log(f"{part.stem}: {urlsplit(url).hostname}: {_reason(error)}; tries again in {wait:.3g} s")
                self.pause(wait)
        if check:
            check(part)
        part.replace(output)

    def _receive(self, url: str, part: Path, size: int | None, start: int) -> None:
        """Bring the partial file to its end, from byte `start` on where the server can. Raises RequestException, ValueError."""
        if start and start == size:
            return
        headers = {"Range": f"bytes={start}-"} if start else {}
        progress = Progress(self.log)
        with self.session.get(url, headers=headers, stream=True, timeout=self.timeout) as answer:
            if start and answer.status_code == 416:
                raise ValueError(f"the server has no byte {start:,}")
            answer.raise_for_status()
            if answer.headers.get("Content-Type", "").startswith("text/html"):
                raise ValueError("the server sent a web page")
            continues = answer.status_code == 206
            if continues and not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                raise requests.ConnectionError(f"the server sent other bytes than those from {start:,} on")
            with part.open("ab" if start and continues else "wb") as file:
                for piece in answer.iter_content(PIECE):
                    if size and file.tell() + len(piece) > size:
                        raise ValueError(f"the server sent more than {size:,} bytes")
                    file.write(piece)
                    of = f" of {size / 1e6:,.0f}" if size else ""
                    progress(f"{part.stem}: {file.tell() / 1e6:,.0f}{of} MB")
        if size and _size(part) < size:
            raise requests.ConnectionError(f"the answer ended at {_size(part):,} of {size:,} bytes")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _passes(error: requests.RequestException) -> bool:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code in _PASSING_STATUS
    return isinstance(error, _BROKEN)


def _unresolved(error: requests.RequestException) -> bool:
    return any(isinstance(getattr(reason, "reason", None), NameResolutionError) for reason in error.args)


def _asked(error: requests.RequestException) -> float:
    """Seconds that the server asks to wait, 0 where it says nothing."""
    said = error.response.headers.get("Retry-After") if error.response is not None else None
    try:
        return Retry(0).parse_retry_after(said) if said else 0
    except InvalidHeader:
        return 0


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        asked = _asked(error)
        return f"status {error.response.status_code}" + (f", wait {asked:,.0f} s" if asked else "")
    return "its name is not resolved (no network?)" if _unresolved(error) else shorten(first_line(error), 200)
