"""PASCAL VOC's XML as its devkit, CVAT, LabelImg and Roboflow write it."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from photos import assert_same_as_csv, draw, labels_of, make_photos, truth

from lmptlib.data.formats.voc import read_voc
from lmptlib.data.loading import check_dataset, load_dataset
from lmptlib.errors import DataError
from lmptlib.suite.cli.main import main

BOX = "<bndbox><xmin>2</xmin><ymin>2</ymin><xmax>6</xmax><ymax>6</ymax></bndbox>"


def annotation(photo, difficult=()) -> str:
    """As VOC2007 has it, with a part as VOC2012's persons have."""
    objects = "".join(
        f"<object><name>{name}</name><pose>Left</pose><truncated>1</truncated>"
        f"<difficult>{int(name in difficult)}</difficult>{BOX}<part><name>head</name>{BOX}</part></object>"
        for name in photo.objects
    )
    return (
        f"<annotation>\n\t<folder>VOC2007</folder>\n\t<filename>{photo.name}</filename>"
        "<source><database>The VOC2007 Database</database><annotation>PASCAL VOC2007</annotation><image>flickr</image>"
        "<flickrid>325991873</flickrid></source><owner><flickrid>archintent</flickrid><name>?</name></owner>"
        f"<size><width>8</width><height>8</height><depth>3</depth></size><segmented>0</segmented>{objects}</annotation>"
    )


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_year(folder: Path, photos, lists: dict[str, list], difficult=()) -> None:
    for photo in photos:
        write(folder / "Annotations" / f"{Path(photo.name).stem}.xml", annotation(photo, difficult))
        draw(folder / "JPEGImages" / photo.name)
    for name, of_list in lists.items():
        write(folder / f"ImageSets/Main/{name}.txt", "".join(f"{Path(photo.name).stem}\n" for photo in of_list))
    write(folder / "ImageSets/Main/dog_train.txt", "t0 1\nt1 -1\n")


@pytest.fixture
def photos():
    return make_photos()


@pytest.fixture
def devkit(tmp_path, photos) -> Path:
    """VOC2012 for training, whose test images have no annotations, and VOC2007's test images."""
    training, test = photos[:9], photos[9:]
    lists = {"train": training[:5], "val": training[5:], "trainval": training}
    write_year(tmp_path / "VOCdevkit/VOC2012", training, lists)
    write(tmp_path / "VOCdevkit/VOC2012/ImageSets/Main/test.txt", "2008_000001\n2008_000004\n")
    write_year(tmp_path / "VOCdevkit/VOC2007", test, {"test": test})
    return tmp_path / "VOCdevkit"


def test_the_devkit_is_a_data_set(devkit, photos):
    dataset = check_dataset(str(devkit))
    assert labels_of(dataset) == truth(photos) and set(dataset.splits) == {"train", "test"}
    assert dataset.class_names == ("dog", "potted plant", "traffic light", "zebra crossing")
    assert dataset.train.where(0) == f"{devkit} VOC2012/Annotations/t0.xml"
    assert dataset.train.names[0] == "VOC2012/JPEGImages/t0.jpg"
    assert_same_as_csv(devkit, devkit.parent / "elsewhere/photos.csv")
    assert dataset.warnings[:2] == (
        "VOCdevkit: VOC: 14 XML files",
        "VOCdevkit: VOC2012: no annotations of its test images, left out (2)",
    )


def test_one_year_without_test_is_tested_on_val(devkit, photos):
    dataset = load_dataset(str(devkit / "VOC2012"))
    expected = {p.name: ("train" if i < 5 else "test", set(p.labels)) for i, p in enumerate(photos[:9])}
    assert labels_of(dataset) == expected and dataset.train.names[0] == "JPEGImages/t0.jpg"
    assert (
        "VOC2012: no split 'test': the images of 'val' are for testing, and nothing is chosen on them"
        in dataset.warnings
    )


def test_without_lists_all_annotations_are_read_and_splits_drawn(devkit, photos):
    """CVAT writes ImageSets/Main/default.txt and a suffix of its own."""
    year = devkit / "VOC2012"
    for file in (year / "ImageSets/Main").glob("*.txt"):
        file.rename(file.with_name("default.txt"))
    (year / "JPEGImages/t1.jpg").rename(year / "JPEGImages/t1.png")
    dataset = load_dataset(str(year))
    assert {name.replace(".png", ".jpg"): found[1] for name, found in labels_of(dataset).items()} == {
        photo.name: set(photo.labels) for photo in photos[:9]
    }
    assert "VOC2012: VOC2012: no lists in ImageSets/Main, so all of Annotations" in dataset.warnings


def test_a_flat_folder_of_images_and_xml(tmp_path):
    photos = make_photos(splits=("train", "valid"))
    for photo in photos:
        for folder in (tmp_path / "flat", tmp_path / "roboflow" / photo.split):
            write(folder / f"{Path(photo.name).stem}.xml", annotation(photo._replace(name="renamed.jpg")))
            draw(folder / photo.name)
    draw(tmp_path / "flat" / "bare.jpg")
    flat = load_dataset(str(tmp_path / "flat"))
    assert {name: labels for name, (_, labels) in labels_of(flat).items()} == {p.name: set(p.labels) for p in photos}
    assert "flat: images without an XML file, left out (1): bare.jpg" in flat.warnings
    exported = load_dataset(str(tmp_path / "roboflow"))
    assert labels_of(exported) == {p.name: ({"valid": "test"}.get(p.split, p.split), set(p.labels)) for p in photos}


def test_difficult_objects_count_unless_a_card_says_otherwise(tmp_path, photos):
    write_year(
        tmp_path / "VOC2012", photos, {"trainval": photos[:9], "test": photos[9:]}, difficult=("zebra crossing",)
    )
    card = tmp_path / "card.yaml"
    card.write_text(yaml.safe_dump({"name": "easy", "source": "VOC2012", "difficult": False, "cutoffs": [5, 2]}))
    easy, full = load_dataset(str(card)), load_dataset(str(tmp_path / "VOC2012"))
    assert labels_of(full) == truth(photos) and easy.name == "easy" and easy.task.cutoffs == (5, 2)
    assert labels_of(easy) == {p.name: (p.split, set(p.labels) - {"zebra crossing"}) for p in photos}
    n = sum(photo.objects.count("zebra crossing") for photo in photos)
    assert easy.warnings[0] == f"easy: VOC: 14 XML files, {n} difficult objects left out"
    card.write_text(yaml.safe_dump({"name": "easy", "source": "VOC2012", "difficult": True}))
    assert labels_of(load_dataset(str(card))) == truth(photos)
    told = CliRunner().invoke(
        main, ["data", "convert", str(tmp_path / "VOC2012"), str(tmp_path / "easy.csv"), "--difficult", "no"]
    )
    assert told.exit_code == 0 and labels_of(load_dataset(str(tmp_path / "easy.csv"))) == labels_of(easy)


LAUGHS = "<!DOCTYPE a [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {b} '{10 * f'&{a};'}'>" for a, b in zip("abcdefgh", "bcdefghi")
)
XML = "VOC2012/Annotations/t1.xml"
BAD = {
    "no xml": (lambda v: (v / XML).unlink(), f" {XML}: no such file, and ImageSets/Main names it"),
    "not xml": (lambda v: (v / XML).write_text("dog"), f" {XML}: cannot be read as XML (syntax error: line 1, column 0)"),
    "empty": (lambda v: (v / XML).write_text(""), f" {XML}: cannot be read as XML (no element found"),
    "cut": (lambda v: (v / XML).write_text("<annotation>"), f" {XML}: cannot be read as XML (no element found"),
    "encoding": (lambda v: (v / XML).write_text("<?xml version='1.0' encoding='x'?><a/>"), f" {XML}: cannot be read as XML (unk"),
    "laughs": (
        lambda v: (v / XML).write_text(f"{LAUGHS}]><annotation>&i;</annotation>"),
        f" {XML}: it declares entities, which no annotation needs; not read",
    ),
    "another root": (lambda v: (v / XML).write_text("<svg/>"), f" {XML}: its root is <svg>, not <annotation>"),
    "no name": (
        lambda v: (v / XML).write_text("<annotation><object><name/></object></annotation>"),
        f" {XML}: object 1 has no name",
    ),
    "two spellings": (
        lambda v: (v / XML).write_text((v / XML).read_text().replace("<name>potted plant", "<name>Potted_Plant")),
        f" {XML}: label 'Potted_Plant' is 'potted plant' elsewhere; write one of them",
    ),
    "invisible": (
        lambda v: (v / XML).write_text((v / XML).read_text().replace("<name>pott", "<name>pott\u200b")),
        f" {XML}: class 'pott\\u200bed plant' has an invisible U+200B ZERO WIDTH SPACE in it: take it out",
    ),
    "missing image": (lambda v: (v / "VOC2012/JPEGImages/t1.jpg").unlink(), f" {XML}: no image "),
    "listed twice": (
        lambda v: (v / "VOC2012/ImageSets/Main/trainval.txt").write_text("t0\nt1\nt1\n"),
        f" {XML}: ImageSets/Main lists it twice",
    ),
    "another's image": (
        lambda v: [
            (v / XML).write_text((v / XML).read_text().replace("t1.jpg", "t0.jpg")),
            (v / "VOC2012/JPEGImages/t1.jpg").unlink(),
        ],
        f" {XML}: VOC2012/JPEGImages/t0.jpg is in VOC2012/Annotations/t0.xml already",
    ),
    "outside": (
        lambda v: (v / "VOC2012/ImageSets/Main/trainval.txt").write_text("../../../etc/passwd\n"),
        "/VOC2012/ImageSets/Main/trainval.txt line 1: '../../../etc/passwd' is not the id of an image",
    ),
    "image outside": (
        lambda v: [
            (v / XML).write_text((v / XML).read_text().replace("t1.jpg", "../../../../x.jpg")),
            (v / "VOC2012/JPEGImages/t1.jpg").unlink(),
        ],
        f" {XML}: ../../x.jpg is not below ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_every_mistake_is_named(devkit, name):
    spoil, message = BAD[name]
    spoil(devkit)
    with pytest.raises(DataError) as error:
        load_dataset(str(devkit))
    assert error.value.problems[0].startswith(f"{devkit}{message}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"name": "x", "source": "c", "root": "."}, "card.yaml: 'root' does not go with 'source'"),
        ({"source": "c"}, "card.yaml: 'name' is missing"),
        ({"name": "x", "source": 3}, "card.yaml: 'source' must be a str, not 3"),
        ({"name": "x", "source": "c", "difficult": "no"}, "card.yaml: 'difficult' must be a bool, not 'no'"),
        ({"name": "x", "source": "nowhere"}, "nowhere: no such file or folder"),
        (
            {"name": "x", "source": "c"},
            "c: nothing in it that is known; looked for metadata.csv or metadata.jsonl with 'file_name' (",
        ),
        (
            {"name": "x", "source": "d", "difficult": False},
            "d: 'difficult' is for VOC alone",
        ),
    ],
)
def test_what_is_wrong_with_a_card_of_a_source(tmp_path, content, message):
    (tmp_path / "c").mkdir()
    draw(tmp_path / "d/dog/1.jpg")
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(DataError) as error:
        load_dataset(str(tmp_path / "card.yaml"))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_the_photographs_beside_the_project(shared, tmp_path):
    """Their XML is made of the lists, which name VOCdevkit/VOC2007/JPEGImages/000012.jpg."""
    source = shared / "photos"
    rows = [line.split() for line in (source / "photos_train.txt").read_text().splitlines() if "/VOC2007/" in line][:50]
    (tmp_path / "VOC2007/Annotations").mkdir(parents=True)
    (tmp_path / "VOC2007/JPEGImages").symlink_to(source / "VOCdevkit/VOC2007/JPEGImages")
    for image, *ids in rows:
        objects = "".join(f"<object><name>class {i}</name></object>" for i in ids)
        text = f"<annotation><filename>{Path(image).name}</filename>{objects}</annotation>"
        (tmp_path / f"VOC2007/Annotations/{Path(image).stem}.xml").write_text(text)
    found = {Path(row.image).name: set(row.labels) for row in read_voc(tmp_path).rows}
    assert found == {Path(image).name: {f"class {i}" for i in ids} for image, *ids in rows} and found


def test_the_image_is_the_one_called_as_its_xml_file(devkit, photos):
    """A copied file, whose <filename> is another image's; and suffixes of any kind."""
    year = devkit / "VOC2012"
    for i, suffix in ((2, "webp"), (3, "JPEG"), (4, "Bmp")):
        (year / f"JPEGImages/t{i}.jpg").rename(year / f"JPEGImages/t{i}.{suffix}")
    for i, told in ((1, "t0.jpg"), (2, "t0.jpg"), (3, "t3"), (4, "")):
        file = year / f"Annotations/t{i}.xml"
        file.write_text(file.read_text().replace(f"<filename>t{i}.jpg", f"<filename>{told}"))
    (year / "JPEGImages/t5.png").write_bytes((year / "JPEGImages/t5.jpg").read_bytes())
    (year / "Annotations/t5.xml").write_text(annotation(photos[5]._replace(name="t5.png")))
    dataset = load_dataset(str(devkit))
    names = ["t0.jpg", "t1.jpg", "t2.webp", "t3.JPEG", "t4.Bmp", "t5.png", "t6.jpg", "t7.jpg", "t8.jpg"]
    assert [Path(name).name for name in dataset.train.names] == names
    assert [labels for _, labels in labels_of(dataset).values()][:9] == [set(photo.labels) for photo in photos[:9]]
    told = "VOCdevkit: images by the XML file's own name, for its <filename> is another: 2"
    assert told in dataset.warnings and "t0" not in "".join(dataset.warnings)
