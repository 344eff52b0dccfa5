"""Exported networks, run: by ONNX Runtime, which is an extra, or by torch."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from eagrctl.arrays import Pixels

# (B, S, S, 3) uint8 RGB -> labels, (B, S, S) uint8, and logits, (B, N, h, w) float32.
Exported = Callable[[Pixels], tuple[Pixels, NDArray[np.float32]]]


class OnnxNetwork:
    """A session of ONNX Runtime on the CPU.

    Args:
        model: a file, or its contents.
        threads: how many compute; as many as torch uses by default.

    Attributes:
        about: the file's metadata.
        size: S, the side of its input.
    """

    def __init__(self, model: Path | bytes, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.log_severity_level = 3  # errors
        self._session = onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
        )
        self._needed = onnxruntime.RunOptions()
        self._needed.only_execute_path_to_fetches = True
        self.about: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.size = int(self._session.get_inputs()[0].shape[1])

    def __call__(self, images: Pixels) -> tuple[Pixels, NDArray[np.float32]]:
        """See `Exported`."""
        labels, logits = self._session.run(["labels", "logits"], {"image": images})
        return labels, logits

    def logits(self, images: Pixels) -> NDArray[np.float32]:
        """The logits alone, without the time that labels take."""
        logits: NDArray[np.float32] = self._session.run(["logits"], {"image": images}, self._needed)[0]
        return logits


class TorchNetwork:
    """A program of torch's own, on the CPU.

    Args:
        program: a file, or its contents.
    """

    def __init__(self, program: Path | bytes) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own deprecations
            loaded = torch.export.load(io.BytesIO(program) if isinstance(program, bytes) else program)
        self._module = loaded.module()

    @torch.inference_mode()
    def __call__(self, images: Pixels) -> tuple[Pixels, NDArray[np.float32]]:
        """See `Exported`."""
        labels, logits = self._module(torch.from_numpy(images))
        return labels.numpy(), logits.numpy()
