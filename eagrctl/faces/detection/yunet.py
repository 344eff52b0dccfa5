"""A YuNet in ONNX that somebody has (opencv_zoo's), run by OpenCV's own class for it."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from eagrctl.arrays import Pixels
from eagrctl.errors import AlignmentError, EagrctlError
from eagrctl.faces.detection.boxes import SAME
from eagrctl.faces.detection.look import MOST, Found
from eagrctl.files import printable, require_regular

# OpenCV crashes on some damaged networks. This is run in a process of its own first, on sizes as photos have; what
# OpenCV refuses in words is refused again here, in ours.
TRIAL = """
import sys
import cv2, numpy
weights = numpy.frombuffer(sys.stdin.buffer.read(), numpy.uint8)
try:
    network = cv2.FaceDetectorYN.create("onnx", weights, numpy.empty(0, numpy.uint8), (320, 320))
    for width, height in ((64, 64), (640, 480)):
        network.setInputSize((width, height))
        network.detect(numpy.full((height, width, 3), 100, numpy.uint8))
except cv2.error:
    pass
"""
TRIAL_SECONDS = 60.0
SILENT = 0  # of OpenCV's levels of talking


class YuNetLooker:
    """A YuNet as a `Looker`.

    Its points come in our order. Scores of YuNet are its own; OpenCV shrinks none of its input.

    Args:
        path: of the ONNX file.

    Raises:
        EagrctlError: OpenCV is not installed.
        AlignmentError: it is no YuNet that OpenCV understands.
    """

    def __init__(self, path: Path) -> None:
        try:
            import cv2
        except ImportError:
            raise EagrctlError(
                "a YuNet needs OpenCV: pip install 'eagrctl[yunet]' (or --detector own, which needs nothing)"
            ) from None
        opencv: Any = cv2  # whose types know of either place, as it has versions
        quieten = opencv.setLogLevel if hasattr(opencv, "setLogLevel") else opencv.utils.logging.setLogLevel
        quieten(SILENT)  # it would tell of bad files in lines of its own
        self._path, self._error, self._lock = path, cv2.error, threading.Lock()
        require_regular(path, AlignmentError)
        try:
            # From memory: OpenCV opens no file whose name is not of the system's encoding.
            content = path.read_bytes()
            self._require_survivable(content)
            weights = np.frombuffer(content, np.uint8)
            self._network: Any = cv2.FaceDetectorYN.create("onnx", weights, np.empty(0, np.uint8), (320, 320))
            self._network.setNMSThreshold(SAME)
            self._network.setTopK(MOST)
        except (cv2.error, OSError) as error:
            raise self._refusal(error) from None
        # What is no YuNet says so only when it looks.
        self.see(np.zeros((1, 64, 64, 3), np.uint8), 0.5)

    def see(self, images: Pixels, least: float) -> list[Found]:
        """See `eagrctl.faces.detection.look.Looker.see`."""
        with self._lock:
            self._network.setScoreThreshold(least)
            return [self._see(image) for image in images]

    def _see(self, image: Pixels) -> Found:
        height, width = image.shape[:2]
        try:
            self._network.setInputSize((width, height))
            _, rows = self._network.detect(np.ascontiguousarray(image[..., ::-1]))
        except self._error as error:
            raise self._refusal(error) from None
        found = np.empty((0, 15)) if rows is None else np.asarray(rows, np.float64)
        found = found[np.isfinite(found).all(axis=1)]
        boxes = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:4]], axis=1)
        return Found(boxes, found[:, 14], found[:, 4:14].reshape(-1, 5, 2))

    def _require_survivable(self, content: bytes) -> None:
        # -P: a cv2.py that lies in the current folder is nobody's to run.
        trial = [sys.executable, "-P", "-c", TRIAL]
        try:
            ended = subprocess.run(trial, input=content, capture_output=True, timeout=TRIAL_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise self._refusal("it takes too long") from None
        if ended.returncode:
            raise self._refusal(f"OpenCV ends with exit code {ended.returncode} on it")

    def _refusal(self, error: Exception | str) -> AlignmentError:
        reason = printable(" ".join(str(error).split()))[:120]
        return AlignmentError(
            f"{printable(self._path)} is no YuNet that OpenCV reads ({reason}): give opencv_zoo's "
            "face_detection_yunet_2023mar.onnx, or --detector own"
        )
