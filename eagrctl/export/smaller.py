"""An exported network in fewer bytes: half precision, or 8 bits; and what that costs, measured.

Both are ONNX Runtime's own tools. Half precision is for GPUs: on a CPU, which has no such arithmetic, it takes as long
or longer. With 8 bits, convolutions run on whole numbers, which is faster on CPUs that have instructions for it.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from eagrctl.arrays import Pixels
from eagrctl.data.dataset import FaceDataset
from eagrctl.data.index import ShardIndex
from eagrctl.errors import EagrctlError
from eagrctl.events import Listener, ignore, tracked
from eagrctl.export.exported import OnnxNetwork
from eagrctl.scoring.confusion import Confusion
from eagrctl.scoring.scores import score

Form = Literal["half", "int8"]

CALIBRATION = 64  # faces of the training split, whose activations say how they are rounded
SCORED = 300  # faces of another split, at most
ALLOWED = 1.0  # points of mean F1 that a form may lose


@dataclass(frozen=True)
class Cost:
    """What a form of a network takes, and how good it is.

    Attributes:
        form: "float32", "half" or "int8".
        size: bytes of its file.
        seconds: for one face on one thread of the CPU, the median.
        f1: the mean over all classes but the background, 0..1.
    """

    form: str
    size: int
    seconds: float
    f1: float


def smaller(
    contents: bytes, form: Form, index: ShardIndex, size: int, listener: Listener = ignore
) -> tuple[bytes, list[Cost]]:
    """A network in another form, beside what it and the plain one take.

    Args:
        contents: the file of ONNX in float32, with the network's own ids.
        form: the other one.
        index: prepared faces: some of the training split calibrate, some of the validation or test split score.
        size: side of its input.
        listener: hears of progress.

    Raises:
        EagrctlError: it would lose more than `ALLOWED` points of mean F1.
        ShardError: the dataset has no training split or none to score on, or cannot be read.
    """
    made = _halved(contents) if form == "half" else _quantised(contents, list(_calibrating(index, size)))
    costs = measure({"float32": contents, form: made}, index, size, listener)
    lost = 100 * (costs[0].f1 - costs[1].f1)
    if not lost <= ALLOWED:
        raise EagrctlError(
            f"{form} takes {lost:.1f} points of mean F1 ({100 * costs[0].f1:.1f} to {100 * costs[1].f1:.1f}), more "
            f"than {ALLOWED}; nothing was written: leave --{form} out"
        )
    return made, costs


def measure(forms: dict[str, bytes], index: ShardIndex, size: int, listener: Listener = ignore) -> list[Cost]:
    """Score networks on the same faces, at the size of their input, one after the other on each face."""
    split = "test" if "val" not in index.splits and "test" in index.splits else "val"
    faces = FaceDataset(index, split, size)
    places = np.linspace(0, len(faces) - 1, min(SCORED, len(faces))).round().astype(int).tolist()
    networks = {form: OnnxNetwork(contents, threads=1) for form, contents in forms.items()}
    counted = {form: Confusion(len(index.classes)) for form in forms}
    times: dict[str, list[float]] = {form: [] for form in forms}
    for place in tracked(places, f"scoring on {split}", listener):
        image, labels, _ = faces[place]
        photo = _pixels(image.numpy())
        for form, network in networks.items():
            started = time.perf_counter()
            found, _ = network(photo)
            times[form].append(time.perf_counter() - started)
            counted[form].add(labels.numpy(), found[0])
    return [
        Cost(
            form,
            len(contents),
            float(np.median(times[form])),
            score(counted[form].counts, index.labels).mean_f1,
        )
        for form, contents in forms.items()
    ]


def _calibrating(index: ShardIndex, size: int) -> Iterator[Pixels]:
    faces = FaceDataset(index, "train", size)
    for place in np.linspace(0, len(faces) - 1, min(CALIBRATION, len(faces))).round().astype(int):
        yield _pixels(faces[int(place)][0].numpy())


def _pixels(image: Pixels) -> Pixels:
    """(3, S, S) -> what an exported network takes, (1, S, S, 3)."""
    return np.ascontiguousarray(image.transpose(1, 2, 0)[None])


def _halved(contents: bytes) -> bytes:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = convert_float_to_float16(onnx.load_from_string(contents), keep_io_types=True)
    return bytes(model.SerializeToString())


def _quantised(contents: bytes, faces: Sequence[Pixels]) -> bytes:
    """The same with convolutions on 8 bits: weights by channel, activations by their range on faces."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime has no types
        def __init__(self) -> None:
            self.faces = iter(faces)

        def get_next(self) -> dict[str, Pixels] | None:
            face = next(self.faces, None)
            return None if face is None else {"image": face}

    with tempfile.TemporaryDirectory() as folder:
        plain, made = Path(folder, "plain.onnx"), Path(folder, "int8.onnx")
        plain.write_bytes(contents)
        quantize_static(
            str(plain),
            str(made),
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        model = onnx.load(str(made))
    onnx.helper.set_model_props(
        model, {each.key: each.value for each in onnx.load_from_string(contents).metadata_props}
    )
    return bytes(model.SerializeToString())
