"""Many photos at once: faces are found beside the network, and labelled several photos together; results in order.

Everything happens in threads: decoding, resampling, dlib's detector and torch all let other threads run, and nothing
has to be sent from process to process. On a CPU, each thread runs the network on one core: when torch shares every
convolution among the cores, they wait for one another while they could do other work.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from threading import Event, Lock, Semaphore
from typing import Any, Generic, TypeVar

import torch
from torch.overrides import TorchFunctionMode

from eagrctl.arrays import Pixels
from eagrctl.parsing.parsed import Failed, ParsedFace
from eagrctl.parsing.placing import Square
from eagrctl.workers import cores

Image = TypeVar("Image")

# Bytes of photos under way, unless a single one has more. The first ones count as 12 megapixels until they are read.
MEMORY, TYPICAL = 512 << 20, 36_000_000

# With more threads, they would wait for one another, because Python runs in one of them at a time.
MOST_THREADS = 16

# Faces that one core labels together: more are no faster, and leave other cores without work at the end.
FACES_PER_CORE = 4


def workers_of(workers: int | None, device: torch.device) -> int:
    """How many threads work; by default one for each core that torch may use, or for each core on a GPU's machine.

    Raises:
        ValueError: `workers` is below 1.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers is {workers}: at least one thread works")
    return workers or min(torch.get_num_threads() if device.type == "cpu" else cores(), MOST_THREADS)


@dataclass(frozen=True, eq=False)
class PlacedPhoto:
    """A photo, (H, W, 3) uint8, and a square for each of its faces, ready for the network."""

    photo: Pixels
    squares: Sequence[Square]


class Pipeline(Generic[Image]):
    """Places the faces of photos and labels them, in threads.

    Args:
        place: an image -> the photo and its squares, or why there is none; called in several threads at once.
        label: squares -> parsed faces; called in several threads at once on a CPU.
        batch: the most faces that are labelled together.
        device: where the network runs.
        workers: threads; None is one for each core that torch may use, or for each core on a GPU's machine.
    """

    def __init__(
        self,
        place: Callable[[Image], PlacedPhoto | Failed],
        label: Callable[[list[Square]], list[ParsedFace]],
        batch: int,
        device: torch.device,
        workers: int | None = None,
    ) -> None:
        self._place, self._label = place, label
        self._stopped = Event()
        self._on_cpu = device.type == "cpu"
        self._batch = min(batch, FACES_PER_CORE) if self._on_cpu else batch
        available = torch.get_num_threads() if self._on_cpu else cores()
        self._workers = workers_of(workers, device)
        self._cores = max(1, available // self._workers) if self._on_cpu else torch.get_num_threads()

    def run(self, images: Iterator[Image]) -> Iterator[tuple[PlacedPhoto | Failed, list[ParsedFace]]]:
        """Each photo as it was placed, in order, with its parsed faces."""
        with ExitStack() as stack:
            threads = stack.enter_context(working_threads(self._workers, self._cores))
            # A GPU does one thing after the other.
            network = threads if self._on_cpu else stack.enter_context(working_threads(1, self._cores))
            # Whatever ends this, such as an interrupt: what is under way ends soon, and nothing else begins.
            stack.callback(self._stopped.set)
            yield from self._run(images, threads, network)

    def _run(
        self, images: Iterator[Image], threads: Executor, network: Executor
    ) -> Iterator[tuple[PlacedPhoto | Failed, list[ParsedFace]]]:
        placing: deque[Future[PlacedPhoto | Failed]] = deque()
        parsing: deque[tuple[PlacedPhoto | Failed, list[Future[ParsedFace]]]] = deque()
        gathering: list[tuple[Square, Future[ParsedFace]]] = []  # a batch that is not full yet
        held, typical, more = 0, TYPICAL, True
        most = 2 * self._batch * self._workers

        def send() -> None:
            network.submit(self._fulfil, tuple(gathering))
            gathering.clear()

        while more or placing or parsing:
            while more and len(placing) < 2 * self._workers and len(parsing) < most:
                if (placing or parsing) and held + (len(placing) + 1) * typical > MEMORY:
                    break
                following = list(islice(images, 1))
                placing.extend(threads.submit(self._place, image) for image in following)
                more = bool(following)
            wait = not placing
            if placing:
                placed = placing.popleft().result()
                faces: list[Future[ParsedFace]] = []
                parsing.append((placed, faces))
                held += _bytes(placed)
                typical = _bytes(placed) or typical
                for square in placed.squares if isinstance(placed, PlacedPhoto) else ():
                    faces.append(Future())
                    gathering.append((square, faces[-1]))
                    if len(gathering) == self._batch:
                        send()
            elif gathering and (not more or gathering[0][1] in parsing[0][1]):
                # The last batch, or one that cannot fill up because its photos leave no memory for others.
                send()
            while parsing and (wait or all(face.done() for face in parsing[0][1])):
                placed, faces = parsing.popleft()
                wait = False
                held -= _bytes(placed)
                yield placed, [face.result() for face in faces]

    def _fulfil(self, batch: Sequence[tuple[Square, Future[ParsedFace]]]) -> None:
        squares, faces = zip(*batch, strict=True)
        try:
            with _Stoppable(self._stopped):
                parsed = self._label(list(squares))
        except BaseException as error:  # raised where the faces are awaited
            for face in faces:
                face.set_exception(error)
        else:
            for face, found in zip(faces, parsed, strict=True):
                face.set_result(found)


def _bytes(placed: PlacedPhoto | Failed) -> int:
    return placed.photo.nbytes if isinstance(placed, PlacedPhoto) else 0


class _Stoppable(TorchFunctionMode):
    """Lets torch stop between two of its functions: a large network takes a minute for a batch on a CPU."""

    def __init__(self, stopped: Event) -> None:
        super().__init__()
        self._stopped = stopped

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self._stopped.is_set():
            raise _StoppedError
        return func(*args, **(kwargs or {}))


class _StoppedError(Exception):
    """Nobody waits for these faces."""


_starting = Lock()


@contextmanager
def working_threads(count: int, cores: int) -> Iterator[Executor]:
    """Threads in each of which torch uses so many cores; elsewhere, it uses as many as before."""
    ready, begun = Semaphore(0), Event()

    def begin() -> None:
        torch.get_num_threads()  # else a thread takes the number of all others with its first tensor
        torch.set_num_threads(cores)
        ready.release()
        begun.wait()

    with ThreadPoolExecutor(count, initializer=begin) as pool:
        try:
            # What one thread sets, torch also takes for threads that start later: here that is put right again.
            with _starting:
                before = torch.get_num_threads()
                for _ in range(count):
                    pool.submit(int)
                    ready.acquire()
                torch.set_num_threads(before)
            begun.set()
            yield pool
        finally:
            begun.set()
            pool.shutdown(wait=False, cancel_futures=True)
