import pytest
import torch

from eagrctl.inference import clock
from eagrctl.inference.clock import Clock


def test_a_part_gathers_the_seconds_of_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([1.0, 3.0, 10.0, 10.5, 20.0, 24.0])
    monkeypatch.setattr(clock.time, "perf_counter", lambda: next(times))
    measured = Clock(("read", "find", "map"), torch.device("cpu"))
    for part in ("read", "find", "read"):
        with measured.part(part):
            pass
    assert measured.seconds == {"read": 6.0, "find": 0.5, "map": 0.0}


def test_the_work_of_a_gpu_is_waited_for_within_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    device = torch.device("cuda", 0)
    with Clock(("network",), device).part("network"):
        assert waited == []
    assert waited == [device]
