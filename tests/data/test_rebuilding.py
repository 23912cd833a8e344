"""VOC-LT made of VOC's own annotations: those of the small world of `test_download`, and all of them from the official labels."""

import hashlib
import random
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_download import asked, got, tar, wanted, world  # noqa: F401

from lmptlib.data import rebuilding
from lmptlib.data.download import _Sources, download, read_sources
from lmptlib.data.loading import load_dataset
from lmptlib.data.rebuilding import rebuild_voc_lt
from lmptlib.data.rows import Reading, Row
from lmptlib.errors import DataError
from lmptlib.suite.cli.main import main

OBJECT = "<object><name>{}</name><difficult>{}</difficult></object>"


def annotation(image: str, labels: list[str], difficult: int = 0) -> str:
    objects = "".join(OBJECT.format(label, difficult) for label in labels)
    return f"<annotation><filename>{Path(image).name}</filename>{objects}</annotation>"


def annotations(images: dict[str, list[str]], listed: str) -> dict[str, str]:
    """VOC's files for images of one year: an XML file each, and a list of their ids. Every second one is difficult."""
    year = Path(next(iter(images))).parents[1]
    files = {
        f"{year}/Annotations/{Path(image).stem}.xml": annotation(image, labels, i % 2)
        for i, (image, labels) in enumerate(images.items())
    }
    ids = [Path(image).stem for image in images]
    random.Random(1).shuffle(ids)
    return files | {f"{year}/ImageSets/Main/{listed}.txt": "\n".join(ids) + "\n"}


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def rising(line: str) -> str:
    """A line of a list with its ids in rising order."""
    image, *ids = line.split()
    return " ".join([image, *sorted(ids, key=int)])


def test_from_all_of_vocs_labels_the_published_lists_come_line_by_line(shared, tmp_path, monkeypatch):
    """The labels are given as if they were read; that XML files are read so is for the small world to show."""
    lists = shared / "lists"
    published = {
        name: [rising(line) for line in (lists / name).read_text().splitlines()]
        for name in ("voc_lt_train.txt", "voc_lt_test.txt", "voc_labels.txt")
    }
    names = [line.split()[0] for line in published["voc_labels.txt"]]
    read = {}
    for name, year in (("voc2012_trainval_labels.txt", "VOC2012"), ("voc_lt_test.txt", "VOC2007")):
        (tmp_path / "VOCdevkit" / year).mkdir(parents=True)
        lines = [line.removeprefix(f"VOCdevkit/{year}/").split() for line in (lists / name).read_text().splitlines()]
        rows = [Row(tmp_path, "", image, tuple(names[int(i)] for i in ids)) for image, *ids in lines]
        read[year] = Reading(tmp_path, tmp_path, random.Random(0).sample(rows, len(rows)))
    read["VOC2007"].rows.append(Row(tmp_path, "", "JPEGImages/000005.jpg", ("chair",), split="train"))
    monkeypatch.setattr(rebuilding, "is_voc", lambda path: True)
    monkeypatch.setattr(rebuilding, "read_voc", lambda path: read[path.name])
    made = rebuild_voc_lt(tmp_path)
    for name, lines in published.items():
        assert made[name].splitlines() == lines, name
    told = {Path(file.name).name: file.rebuilt for file in read_sources()["voc-lt"].lists}
    assert told.pop("voc_lt_captions.txt") is None
    assert told == {name: f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" for name, text in made.items()}


@pytest.fixture
def annotated(world, monkeypatch):  # noqa: F811
    """The small world without its lists, with annotations in its archives, and what comes of them told."""
    rows = {name: text.decode().splitlines() for name, text in world.texts["voc-lt"].items()}
    sources = world.told["voc-lt"].model_dump(by_alias=True)
    for source, name in zip(sources["lists"], rows):
        content = "".join(f"{rising(line)}\n" for line in rows[name]) if "captions" not in name else ""
        source["rebuilt"] = f"sha256:{hashlib.sha256(content.encode()).hexdigest()}" if content else None
        del world.server.files[name]
    for archive, key, listed in zip(sources["archives"], ("train", "test"), ("trainval", "test")):
        images = {line.split()[0]: [("cat", "dog")[int(line.split()[1])]] for line in rows[f"voc/voc_lt_{key}.txt"]}
        files = annotations(images, listed)
        pictures = {name: world.images[name] for name in images}
        content = tar({name: text.encode() for name, text in files.items()} | pictures)
        world.server.files[archive["name"]] = content
        archive |= {"size": len(content), "hash": f"sha256:{hashlib.sha256(content).hexdigest()}"}
        archive["annotations"] = sorted(files)
    world.told["voc-lt"] = _Sources.model_validate(sources)
    return world


def test_without_lists_they_are_made_of_the_archives_and_said_to_be(annotated, tmp_path):
    lines: list[str] = []
    download("voc-lt", tmp_path, log=lines.append)
    assert got(tmp_path) == wanted(annotated, "voc-lt")
    made = load_dataset("voc-lt", tmp_path)
    published = annotated.texts["voc-lt"]["voc/voc_lt_train.txt"].decode().splitlines()
    assert list(made.train.names) == [line.split()[0] for line in published]
    assert made.train.captions is None and any("no captions" in warning for warning in made.warnings)
    for name in ("train", "test"):
        said = f"voc/voc_lt_{name}.txt: made of VOC's annotations, with the images and labels of the published list"
        assert lines.count(said) == 1
    assert [line for line in lines if line.startswith("voc/voc_lt_captions.txt is not there: 'lmpt data caption'")]
    # an archive came once, and the list that is not there stopped the others
    assert asked(annotated).count("VOCtrainval.tar") == 1 and "voc/voc_lt_test.txt" not in asked(annotated)

    annotated.server.seen.clear()
    annotated.server.files |= annotated.texts["voc-lt"]
    download("voc-lt", tmp_path, log=lines.append)
    assert asked(annotated) == ["voc/voc_lt_captions.txt"] and load_dataset("voc-lt", tmp_path).train.captions


def test_the_option_asks_for_no_list_and_takes_annotations_that_are_there(annotated, tmp_path):
    annotated.server.files |= annotated.texts["voc-lt"]
    for archive in ("VOCtrainval.tar", "VOCtest.tar"):
        (tmp_path / archive).write_bytes(annotated.server.files[archive])
    told = CliRunner().invoke(main, ["data", "download", "voc-lt", "--rebuild", "--root", str(tmp_path)])
    assert told.exit_code == 0 and "voc/voc_labels.txt: made of VOC's annotations" in told.output, told.output
    assert not asked(annotated) and got(tmp_path) == wanted(annotated, "voc-lt")
    (tmp_path / "voc/voc_lt_test.txt").unlink()
    for archive in ("VOCtrainval.tar", "VOCtest.tar"):
        (tmp_path / archive).unlink()
    download("voc-lt", tmp_path, log=lambda line: None, rebuild=True)
    assert not asked(annotated) and len(load_dataset("voc-lt", tmp_path).test) == 4
    told = CliRunner().invoke(main, ["data", "download", "coco-lt", "--rebuild", "--root", str(tmp_path)])
    assert told.exit_code == 1 and "the lists of coco-lt cannot be rebuilt" in told.output


def test_other_annotations_give_no_list(annotated, tmp_path):
    download("voc-lt", tmp_path, log=lambda line: None)
    (tmp_path / "voc/voc_lt_train.txt").unlink()
    xml = sorted((tmp_path / "VOCdevkit/VOC2012/Annotations").iterdir())[0]
    xml.write_text(xml.read_text().replace("cat", "dog"))
    with pytest.raises(DataError, match=r"voc_lt_train.txt: made of VOC's annotations it would not have the published"):
        download("voc-lt", tmp_path, log=lambda line: None)
    assert not (tmp_path / "voc/voc_lt_train.txt").exists()
    # an annotation that is gone comes out of the archive again
    xml.unlink()
    download("voc-lt", tmp_path, log=lambda line: None)
    assert (tmp_path / "voc/voc_lt_train.txt").exists()


def test_neither_lists_nor_archives_name_both(annotated, tmp_path):
    annotated.server.files.clear()
    with pytest.raises(DataError) as error:
        download("voc-lt", tmp_path, log=lambda line: None)
    told = error.value.problems
    assert "voc_lt_train.txt" in told[0] and "VOCtrainval.tar" in told[1] and "--mirror" in told[-1]
