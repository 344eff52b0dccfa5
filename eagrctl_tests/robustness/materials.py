"""Small files of every kind that eagrctl reads, made once, partly by eagrctl itself; commands are run on copies."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import torch
from PIL import Image
from skimage.data import astronaut

from eagrctl.checkpoint import Checkpoint, build_network, save_checkpoint
from eagrctl.data.labels import CELEBAMASK_HQ
from eagrctl.faces.detection.file import save_detector
from eagrctl.recipe import find_recipe, load_recipe, load_recipe_as, recipe_to_toml
from eagrctl.training.detector.recipe import DetectorRecipe
from eagrctl_tests.conftest import TINY, face, write_merged
from eagrctl_tests.faces.detection.test_file import detector
from eagrctl_tests.faces.detection.yunets import yunet_bytes
from eagrctl_tests.faces.test_landmarks import LEFT_EYE, NOSE_BASE, RIGHT_EYE
from eagrctl_tests.faces.test_landmarks import train as train_predictor
from eagrctl_tests.parsing.video.videos import write_video
from eagrctl_tests.readers.test_celebamask_hq import HEADER, MAPPING, part_mask
from eagrctl_tests.readers.test_folder import TOML
from eagrctl_tests.readers.test_helen import line_of_68, photo, points_194, write_maps
from eagrctl_tests.readers.test_lapa import FACES, points
from eagrctl_tests.robustness.mutations import in_format
from eagrctl_tests.robustness.server import Server
from eagrctl_tests.training.detector.conftest import TINY as TINY_DETECTOR
from eagrctl_tests.training.scenes.stock import write_real_photos
from eagrctl_tests.weights.test_resnet import random_resnet

TRAIN = ("--gpus", "0", "--workers", "0", "--quiet")
PREPARE = ("--partial", "--size", "49", "--workers", "0", "--quiet")
FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "gif": "GIF", "bmp": "BMP", "tiff": "TIFF", "ppm": "PPM"}


def make_materials(server: Server, place: Path) -> Path:
    """A folder with photos, raw datasets, a prepared one, its parts, a run, weights, results, predictors."""
    (place / "raw").mkdir(parents=True)
    numbers = [str(number) for number in range(9)]
    write_merged(place / "raw" / "merged", {"train": numbers[:4], "val": numbers[4:6], "test": numbers[6:]})
    _celebamask(place / "raw" / "official")
    _smith(place / "raw" / "smith")
    _star(place / "raw" / "star")
    _lapa(place / "raw" / "lapa")
    _folder(place / "raw" / "folder")
    _photos(place)
    recipe = load_recipe(find_recipe("celebamask-hq-small"), [*TINY, "train.epochs=1", "augment.rotated=0.5"])
    (place / "recipe.toml").write_text(recipe_to_toml(recipe))
    (place / "map.toml").write_text('[ids]\n0 = "background"\n1 = "skin"\n2 = "nose"\n255 = "ignore"\n')
    torch.manual_seed(0)
    network = build_network(recipe, 19)
    made = Checkpoint(recipe, "celebamask-hq", CELEBAMASK_HQ.names, network.state_dict(), {"mean_f1": 0.5}, 2, 40)
    (place / "nets").mkdir()
    for name in ("net.pt", "net.safetensors"):
        save_checkpoint(made, place / "nets" / name)
    torch.save(random_resnet((2, 2, 2, 2), bottleneck=False, deep=True, width=8), place / "nets" / "resnet.pth")
    train_predictor(place / "points.dat", [RIGHT_EYE[1], RIGHT_EYE[0], LEFT_EYE[0], LEFT_EYE[1], NOSE_BASE])
    _astronauts(place)
    merged = ("prepare", "celebamask-hq", "raw/merged", *PREPARE)
    write_real_photos(place / "real")
    tiny = load_recipe_as(DetectorRecipe, find_recipe("detector"), [*TINY_DETECTOR, "train.epochs=1"])
    (place / "detector.toml").write_text(recipe_to_toml(tiny))
    (place / "finders").mkdir()
    (place / "finders" / "yunet.onnx").write_bytes(yunet_bytes())
    save_detector(detector(), place / "finders" / "own.safetensors")
    for command in (
        (*merged, "-o", "data"),
        ("detector", "prepare", "raw/merged", "real", "-o", "material", "--workers", "1"),
        *((*merged, "-o", f"parts/{part}", "--slice", f"{part}/2") for part in (1, 2)),
        ("train", "-r", "recipe.toml", "--data", "data", "-o", "runs/run", "--set", "train.epochs=2", *TRAIN),
        (
            "parse",
            "photos",
            "-o",
            "results",
            "--weights",
            "nets/net.pt",
            "--gpus",
            "0",
            "--no-detect",
            "--workers",
            "1",
        ),
        ("evaluate", "runs/run", "--save-predictions", "predictions", "--gpus", "0", "--cpu-processes", "1"),
        ("prepare", "celebamask-hq", "raw-astronaut", "--partial", "--no-align", "--size", "512", "-o", "astronaut"),
    ):
        ran = server.run(command, place)
        assert ran.code == 0, (command, ran.stderr)
    shutil.rmtree(place / "raw-astronaut")
    for folder in ("results", "runs/run", "data"):
        (place / folder / "own.txt").write_text("mine")
    return place


def _photos(place: Path) -> None:
    (place / "photos").mkdir()
    small = Image.fromarray(astronaut()).resize((72, 60))
    for ending, kind in FORMATS.items():
        (place / "photos" / f"{ending}-photo.{ending}").write_bytes(in_format(small, kind))
    for name, mode in (("grey", "L"), ("alpha", "RGBA"), ("palette", "P"), ("deep", "I;16")):
        picture = small.convert("L").convert("I").point(lambda value: value * 200) if mode == "I;16" else small
        picture.convert(mode).save(place / "photos" / f"{name}.png")
    (place / "list.txt").write_text("photos/grey.png\nphotos/jpg-photo.jpg\n")
    Image.fromarray(astronaut()).crop((100, 0, 356, 256)).save(place / "face.jpg")
    write_video(place / "clip.mp4", 3)


def _astronauts(place: Path) -> None:
    from eagrctl_tests.faces.astronauts import labelled

    for folder in ("images", "labels"):
        (place / "raw-astronaut" / folder).mkdir(parents=True)
    for number in range(3):
        Image.fromarray(astronaut()).save(place / "raw-astronaut" / "images" / f"{number}.jpg")
        Image.fromarray(labelled()).save(place / "raw-astronaut" / "labels" / f"{number}.png")
    for split, names in (("train", "0\n1\n"), ("val", "2\n")):
        (place / "raw-astronaut" / f"{split}.txt").write_text(names)


def _celebamask(root: Path) -> None:
    (root / "CelebA-HQ-img").mkdir(parents=True)
    for number in MAPPING:
        Image.fromarray(face(number)[0]).save(root / "CelebA-HQ-img" / f"{number}.jpg")
        folder = root / "CelebAMask-HQ-mask-anno" / str(number // 2000)
        folder.mkdir(parents=True, exist_ok=True)
        for part, box in (("skin", (4, 4, 28, 28)), ("l_eye", (18, 10, 24, 14))):
            Image.fromarray(part_mask(box)).save(folder / f"{number:05d}_{part}.png")
    lines = [f"{number}    {original - 1}    {original:06d}.jpg\n" for number, original in MAPPING.items()]
    (root / "CelebA-HQ-to-CelebA-mapping.txt").write_text(HEADER + "".join(lines))


def _smith(root: Path) -> None:
    for folder in ("images", "labels", "points"):
        (root / folder).mkdir(parents=True)
    for number, (name, listed) in enumerate((("7_1", "exemplars"), ("8_1", "tuning"), ("9_1", "testing")), start=1):
        photo(root / "images" / f"{name}.jpg")
        write_maps(root / "labels", name)
        (root / f"{listed}.txt").write_text(f"{number} , {name}\n")
        lines = "\n".join(f"{x} , {y}" for x, y in points_194())
        (root / "points" / f"{number}.txt").write_text(f"{name}\n{lines}\n")


def _star(root: Path) -> None:
    labels = np.zeros((24, 16), np.uint8)
    labels[8, 3] = 4
    names = [f"{number}_1" for number in range(10, 22)]
    for folder, inside in (("train", names), ("test", ["1_1"]), ("test_resize", ["1_1"])):
        (root / folder).mkdir(parents=True)
        for name in inside:
            photo(root / folder / f"{name}_image.jpg")
            Image.fromarray(labels).save(root / folder / f"{name}_label.png")
    (root / "landmarks.txt").write_text("".join(line_of_68(place, name) for place, name in enumerate([*names, "1_1"])))


def _lapa(root: Path) -> None:
    labels = np.zeros((30, 20), np.uint8)
    labels[10, 4] = 4
    for split, names in FACES.items():
        for folder in ("images", "labels", "landmarks"):
            (root / split / folder).mkdir(parents=True)
        for name in names:
            Image.fromarray(np.full((30, 20, 3), 200, np.uint8)).save(root / split / "images" / f"{name}.jpg")
            Image.fromarray(labels).save(root / split / "labels" / f"{name}.png")
            (root / split / "landmarks" / f"{name}.txt").write_text("106\n" + "\n".join(points()) + "\n")


def _folder(root: Path) -> None:
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for number in range(1, 6):
        image, labels = face(number)
        Image.fromarray(image).save(root / "images" / f"{number}.png")
        Image.fromarray(np.minimum(labels, 4)).save(root / "labels" / f"{number}.png")
    (root / "classes.toml").write_text(TOML)
    (root / "train.txt").write_text("1\n2\n3\n")
    (root / "val.txt").write_text("4\n")
    (root / "test.txt").write_text("5\n")
    (root / "five.txt").write_text("".join(f"{number} 20 26 44 26 32 36 24 46 40 46\n" for number in range(1, 6)))


def copy_of(materials: Path, sandbox: Path, names: tuple[str, ...]) -> Path:
    """What a command needs, in `sandbox/work`, beside a tree that no command may touch."""
    work = sandbox / "work"
    for folder in ("work", "victim", "home", "tmp"):
        (sandbox / folder).mkdir(parents=True)
    for number, text in enumerate(("precious", "also precious")):
        (sandbox / "victim" / ("precious.txt", "x.png")[number]).write_text(text)
    for name in names:
        source, target = materials / name, work / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, copy_function=shutil.copy2, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target)
        for about in target.rglob("run.json") if target.is_dir() else ():
            about.write_text(about.read_text().replace(str(materials), str(work)))
    return work


def samples_in(shard: Path) -> dict[str, np.ndarray]:
    """All arrays of a shard."""
    with h5py.File(shard) as file:
        return {name: file[name][()] for name in file}
