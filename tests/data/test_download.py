"""`lmpt data download` from a local server: small data sets of the same layout, whole or in part, by hand or from the net."""

import hashlib
import io
import shutil
import tarfile
import threading
import zipfile
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from filelock import FileLock
from hostile import serve
from test_transfer import Patient, jpeg

from lmptlib.data import download as downloads
from lmptlib.data.download import _Sources, download, is_whole, read_sources
from lmptlib.data.loading import check_dataset
from lmptlib.data.official import OFFICIAL
from lmptlib.errors import DataError
from lmptlib.suite.cli.main import main


def md5(content: bytes) -> str:
    return f"md5:{hashlib.md5(content, usedforsecurity=False).hexdigest()}"


def tar(images: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in images.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("VOCdevkit/VOC2012/link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return file.getvalue()


def zipped(images: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in images.items():
            archive.writestr(name, content)
    return file.getvalue()


def lists(train: list[str], test: list[str], short: str, folder: str) -> dict[str, bytes]:
    """Official lists of two classes, small for testing."""
    rows = {"train": [f"{image} {i % 2}" for i, image in enumerate(train)]}
    rows |= {"test": [f"{image} {i % 2}" for i, image in enumerate(test)]}
    rows |= {"captions": [f"{image} a photo of something." for image in train]}
    files = {f"{folder}/{short}_{key}.txt": "\n".join(lines).encode() for key, lines in rows.items()}
    return files | {f"{folder}/{folder}_labels.txt": b"cat 0\ndog 1"}


@pytest.fixture
def world(monkeypatch):
    """A server with a small VOC-LT and a small COCO-LT, and what is told of them in place of the true ones."""
    voc_train = [f"VOCdevkit/VOC2012/JPEGImages/2008_{i:06}.jpg" for i in range(6)]
    voc_test = [f"VOCdevkit/VOC2007/JPEGImages/{i:06}.jpg" for i in range(4)]
    coco_train = [f"train2017/{i:012}.jpg" for i in range(12)]
    coco_test = [f"val2017/{i:012}.jpg" for i in range(4)]
    images = {name: jpeg(i, 24) for i, name in enumerate([*voc_train, *voc_test, *coco_train, *coco_test])}
    texts = {
        "voc-lt": lists(voc_train, voc_test, "voc_lt", "voc"),
        "coco-lt": lists(coco_train, coco_test, "coco_lt", "coco"),
    }
    more = {
        "VOCdevkit/VOC2012/JPEGImages/2009_000000.jpg": jpeg(99, 24),
        "VOCdevkit/VOC2012/Annotations/a.xml": b"<a/>",
    }
    archives = {
        "VOCtrainval.tar": tar({name: images[name] for name in voc_train} | more | {"../evil.jpg": jpeg(1, 24)}),
        # of several pieces
        "VOCtest.tar": tar({name: images[name] for name in voc_test} | {"VOCdevkit/VOC2007/x.jpg": jpeg(2)}),
        "val2017.zip": zipped({name: images[name] for name in coco_test} | {"../evil.jpg": b"evil"}),
    }
    with serve() as server:
        server.files |= archives | {name: images[name] for name in coco_train} | texts["voc-lt"] | texts["coco-lt"]

        def file(name: str, content: bytes) -> dict:
            return {"name": name, "size": len(content), "hash": md5(content), "from": [server.url]}

        def archive(name: str, holds: str) -> dict:
            return file(name, archives[name]) | {"holds": holds, "image_size": 2000}

        voc = [archive("VOCtrainval.tar", "VOCdevkit/VOC2012/"), archive("VOCtest.tar", "VOCdevkit/VOC2007/")]
        coco = [archive("val2017.zip", "val2017/")]
        single = [{"hash": None, "from": [server.url], "holds": "train2017/", "image_size": 2000}]
        sources = {"voc-lt": {"archives": voc}, "coco-lt": {"archives": coco, "images": single}}
        told = {
            name: _Sources.model_validate({"lists": [file(*item) for item in texts[name].items()]} | source)
            for name, source in sources.items()
        }
        monkeypatch.setattr(downloads, "read_sources", lambda: told)
        yield SimpleNamespace(server=server, images=images, archives=archives, texts=texts, told=told)


def wanted(world, name):
    begins = ("VOC",) if name == "voc-lt" else ("train2017", "val2017")
    return {image: content for image, content in world.images.items() if image.startswith(begins)}


def got(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.jpg")}


def asked(world) -> list[str]:
    return [path for path, _ in world.server.seen]


@pytest.mark.parametrize("name", ["voc-lt", "coco-lt"])
def test_it_fetches_what_is_needed_and_nothing_else(world, tmp_path, name):
    lines: list[str] = []
    download(name, tmp_path, log=lines.append)
    assert got(tmp_path) == wanted(world, name)
    assert len(check_dataset(name, tmp_path, tmp_path / "cache").train) == (6 if name == "voc-lt" else 12)
    assert lines[-1] == f"{name}: all {len(wanted(world, name))} images are in {tmp_path}"
    assert "GB are needed" in lines[1] and all("\n" not in line for line in lines)
    # archives and drafts are gone, and nothing fell beside the folder
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".tar", ".zip") or path.name == ".download"]
    assert not (tmp_path.parent / "evil.jpg").exists() and not (tmp_path.parent / "etc").exists()
    world.server.seen.clear()
    download(name, tmp_path, log=lines.append)
    assert (
        not world.server.seen
        and lines[-2] == f"{name}: {len(got(tmp_path))} of {len(got(tmp_path))} images are in {tmp_path}"
    )


def test_a_folder_filled_by_hand_is_as_good(world, tmp_path):
    (tmp_path / "lists").mkdir()
    for name, content in world.texts["voc-lt"].items():
        (tmp_path / "lists" / name.partition("/")[2]).write_bytes(content)
    (tmp_path / "VOCtrainval.tar").write_bytes(world.archives["VOCtrainval.tar"])
    images = wanted(world, "voc-lt")
    first, second, *_ = [name for name in images if "VOC2012" in name]
    for name in (first, second):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    own = jpeg(50, 24)
    (tmp_path / first).write_bytes(own)
    (tmp_path / second).write_bytes(images[second][:-40])
    download("voc-lt", tmp_path, log=lambda line: None)
    # the image of one's own stays, the cut one does not
    assert got(tmp_path) == images | {first: own}
    assert asked(world) == ["VOCtest.tar"] and (tmp_path / "VOCtrainval.tar").exists()


def test_a_wrong_archive_by_hand_is_left_alone(world, tmp_path):
    wrong = b"x" * len(world.archives["VOCtrainval.tar"])
    (tmp_path / "VOCtrainval.tar").write_bytes(wrong)
    lines: list[str] = []
    download("voc-lt", tmp_path, log=lines.append)
    assert got(tmp_path) == wanted(world, "voc-lt") and (tmp_path / "VOCtrainval.tar").read_bytes() == wrong
    assert f"{tmp_path / 'VOCtrainval.tar'} is not the published file, and is left as it is" in lines


FAULTS = [
    "drops",
    "truncates",
    "says_less",
    "says_more",
    "wrong_file",
    "redirects",
    "busy",
    "down",
    "web_page",
    "empty",
    "stalls",
]


def test_hostile_servers_give_all_in_the_end(world, tmp_path):
    for i, path in enumerate(world.server.files):
        world.server.faults[path] = [FAULTS[i % len(FAULTS)], FAULTS[(i // 2) % len(FAULTS)]]
        # twice the wrong content of one address is refused
        if len({"wrong_file", "web_page"} & set(world.server.faults[path])) == 2:
            world.server.faults[path].pop()
    for name in world.told:
        transfer = Patient()
        for _ in range(3):
            try:
                download(name, tmp_path / name, log=lambda line: None, transfer=transfer)
                break
            except DataError:
                assert got(tmp_path / name).items() <= wanted(world, name).items()
        assert got(tmp_path / name) == wanted(world, name)


def test_an_image_that_is_gone_is_named_and_the_others_come(world, tmp_path):
    gone = "train2017/000000000003.jpg"
    content = world.server.files.pop(gone)
    with pytest.raises(DataError) as error:
        download("coco-lt", tmp_path, log=lambda line: None)
    assert len(error.value.problems) == 2
    assert gone in error.value.problems[0] and "status 404" in error.value.problems[0]
    assert "--mirror" in error.value.problems[1]
    assert got(tmp_path).keys() == wanted(world, "coco-lt").keys() - {gone}
    world.server.files[gone] = content
    world.server.seen.clear()
    download("coco-lt", tmp_path, log=lambda line: None)
    assert asked(world) == [gone] and got(tmp_path) == wanted(world, "coco-lt")


def test_a_server_without_images_is_not_asked_for_all(world, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "_TOO_MANY", 2)
    monkeypatch.setattr(downloads, "WORKERS", 1)
    for name in [name for name in world.server.files if name.startswith("train2017")]:
        del world.server.files[name]
    with pytest.raises(DataError):
        download("coco-lt", tmp_path, log=lambda line: None)
    assert len([path for path in asked(world) if path.startswith("train2017")]) < 6


def test_a_small_disk_is_said_before(world, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=20_000))
    with pytest.raises(ValueError, match=r"10 images are missing: about 0\.00 GB are needed.* Make room") as error:
        download("voc-lt", tmp_path, log=lambda line: None)
    assert "\n" not in str(error.value) and not [path for path in asked(world) if path.endswith(".tar")]


def test_a_second_download_waits(world, tmp_path):
    lines: list[str] = []
    waits = threading.Event()

    def log(line: str) -> None:
        lines.append(line)
        waits.set()

    with FileLock(tmp_path / ".download.lock"):
        thread = threading.Thread(target=download, args=("voc-lt", tmp_path), kwargs={"log": log})
        thread.start()
        assert waits.wait(10) and not world.server.seen
    thread.join(10)
    assert lines[0] == f"waiting for another download to {tmp_path}" and got(tmp_path) == wanted(world, "voc-lt")


def test_ctrl_c_keeps_what_has_come(world, tmp_path):
    def pause(_: float) -> None:
        raise KeyboardInterrupt

    transfer = Patient()
    transfer.pause = pause
    world.server.faults["VOCtest.tar"] = ["drops"]
    with pytest.raises(KeyboardInterrupt, match="goes on from there"):
        download("voc-lt", tmp_path, log=lambda line: None, transfer=transfer)
    assert len(got(tmp_path)) == 6
    world.server.seen.clear()
    download("voc-lt", tmp_path, log=lambda line: None)
    path, asked_range = world.server.seen[0]
    assert path == "VOCtest.tar" and asked_range and got(tmp_path) == wanted(world, "voc-lt")


def test_the_command(world, tmp_path):
    with serve() as mirror:
        mirror.files |= {name: content for name, content in world.server.files.items() if "train2017" not in name}
        command = ["data", "download", "coco-lt", "--root", tmp_path, "--mirror", mirror.url]
        result = CliRunner().invoke(main, list(map(str, command)))
        assert result.exit_code == 0 and "all 16 images are in" in result.output, result.output
        assert {path for path in asked(world) if "train2017" not in path} == set()
    for wrong, said in (
        (["emoji-lt"], "no download of 'emoji-lt'"),
        (["voc-lt", "--mirror", "x.tar"], "--mirror is an"),
    ):
        result = CliRunner().invoke(main, ["data", "download", *wrong, "--root", str(tmp_path)])
        assert result.exit_code and said in result.output and "Traceback" not in result.output


def test_what_is_told_of_the_true_files(shared):
    """The lists are those that the papers' code has; archives and images cover them."""
    for name, sources in read_sources().items():
        assert {file.name.partition("/")[2] for file in sources.lists} == set(OFFICIAL[name].files.values())
        for file in sources.lists:
            content = (shared / "lists" / file.name.partition("/")[2]).read_bytes()
            assert file.size == len(content) and file.hash == f"sha256:{hashlib.sha256(content).hexdigest()}"
        holds = tuple(source.holds for source in (*sources.archives, *sources.images))
        for key in ("train", "test"):
            lines = (shared / "lists" / OFFICIAL[name].files[key]).read_text().splitlines()
            assert all(line.startswith(holds) for line in lines if line)


def test_a_whole_jpeg_is_told_from_a_cut_one(tmp_path):
    path, content = tmp_path / "a.jpg", jpeg(0, 24)
    for cut, whole in (
        (content, True),
        (content + b"\0" * 9, True),
        (content[:-1], False),
        (b"", False),
        (b"x" * 9, False),
    ):
        path.write_bytes(cut)
        assert is_whole(path) is whole
    assert not is_whole(tmp_path / "none.jpg")
