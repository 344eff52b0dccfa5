"""The files that eagrctl looks for: data, runs, a landmark predictor, fetched weights."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from eagrctl.doctor.finding import Finding, gigabytes, why_not
from eagrctl.errors import AlignmentError
from eagrctl.weights.fetch import PUBLISHED, cache


def places(folder: Path, data: Path, runs: Path) -> Iterator[Finding]:
    """Look for what eagrctl reads and writes.

    Args:
        folder: where it works.
        data: where prepared datasets are.
        runs: where runs are.
    """
    yield _folder(folder)
    yield _datasets(data)
    yield _runs(runs)
    yield _predictor()
    yield _cache()
    yield from _weights()


def _folder(folder: Path) -> Finding:
    def write() -> None:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"eagrctl")

    if reason := why_not(write):
        remedy = "go to a folder of your own"
        return Finding("folder", False, f"{folder.absolute()} cannot be written ({reason})", remedy, needed=True)
    return Finding("folder", True, f"{folder.absolute()} can be written", needed=True)


def _datasets(data: Path) -> Finding:
    names = sorted(index.parent.name for index in data.glob("*/index.json"))
    if not names:
        remedy = "prepare one with eagrctl prepare, or go the whole way on painted faces with eagrctl demo"
        return Finding("datasets", None, f"none in {data}/", remedy)
    return Finding("datasets", True, f"{', '.join(names)} in {data}/")


def _runs(runs: Path) -> Finding:
    found = sorted(runs.glob("*/run.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        return Finding("runs", None, f"none in {runs}/", "eagrctl train makes the first")
    return Finding("runs", True, f"{len(found)} in {runs}/, of which {found[-1].parent.name} began last")


def _predictor() -> Finding:
    """The landmark predictor that alignment would use; nothing else needs one."""
    name = "dlib predictor"
    try:
        from eagrctl.faces.landmarks import VARIABLE, DlibLandmarks, find_predictor
    except Exception as error:  # a broken package raises whatever it likes
        return Finding(name, None, f"cannot be told ({error})", "mend the packages above")
    try:
        path = find_predictor()
        return Finding(name, True, f"{path} ({DlibLandmarks(path).description})")
    except AlignmentError as error:
        detail, _, remedy = str(error).rpartition(": ")
        # Without one, all but --align works; one that is named and unfit was meant to be used.
        return Finding(name, False if os.environ.get(VARIABLE) else None, detail, remedy)
    except ImportError as error:
        return Finding(name, None, f"cannot be told without dlib ({error})", "mend dlib first")


def _cache() -> Finding:
    place = cache()
    there = next(path for path in (place, *place.absolute().parents) if path.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        return Finding("cache", None, f"{place} cannot be written", "name another folder in EAGRCTL_CACHE")
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    return Finding("cache", True, f"{place}, {gigabytes(size) if size else 'empty'}")


def _weights() -> Iterator[Finding]:
    name = "ImageNet weights"
    files = {cache() / "weights" / published.name: published for published in PUBLISHED.values()}
    present = [path for path in files if path.is_file()]
    unfit = [path for path in present if not files[path].bytes[0] <= path.stat().st_size <= files[path].bytes[1]]
    for path in unfit:
        yield Finding(name, False, f"{path} is not of the size that was published", "delete it: it is fetched again")
    whole = [path.name for path in present if path not in unfit]
    if whole:
        yield Finding(name, True, ", ".join(whole))
    elif not unfit:
        remedy = "training fetches those that a recipe asks for; without a network, give a file with --pretrained FILE"
        yield Finding(name, None, "none in the cache", remedy)
