import re
import time
from pathlib import Path

import pytest
import torch

from eagrctl.training import progression as module
from eagrctl.training.progression import Pace, Progression, peak_memory


def test_rate_and_waiting_are_those_since_the_last_start(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(module, "peak_memory", lambda device: 1_250_000_000)
    state = Progression(step=7, waited=3.0)
    pace = Pace(state, 4, torch.device("cpu"))
    clock[0], state.step, state.waited = 108.0, 27, 3.4
    assert pace.told() == "10.0 images/s, 5% waiting, 1.2 GB"
    # Ten seconds are over: what is told next is of the time since.
    clock[0] = 120.0
    assert pace.told().startswith("4.0 images/s")
    clock[0], state.step = 122.0, 28
    assert pace.told().startswith("2.0 images/s, 0% waiting")
    pace.restart()
    clock[0], state.step = 124.0, 30
    assert pace.told().startswith("4.0 images/s")


def test_memory_is_that_of_this_process() -> None:
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak_memory(torch.device("cpu")) == pytest.approx(1024 * int(peak), rel=0.1)
