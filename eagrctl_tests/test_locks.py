import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from eagrctl.errors import ShardError, TrainingError
from eagrctl.events import Notice, Progress
from eagrctl.locks import LOCK, is_locked, locked

fcntl = pytest.importorskip("fcntl")

HOLDER = """
import sys, time
from pathlib import Path
from eagrctl.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    root = Path(__file__).resolve().parents[1]
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_is_told_who_is_first_until_that_one_is_killed(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        assert is_locked(tmp_path)
        with (
            pytest.raises(TrainingError, match=f"another eagrctl .process {process.pid} on"),
            locked(tmp_path, TrainingError),
        ):
            pass
        os.kill(process.pid, signal.SIGKILL)
    assert not is_locked(tmp_path)
    with locked(tmp_path):
        assert is_locked(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_whoever_asks_does_not_make_the_folder_look_taken(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    with (tmp_path / LOCK).open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        assert not is_locked(tmp_path)


def test_what_killed_writers_left_is_cleared_and_what_is_being_written_stays(tmp_path: Path) -> None:
    stale, live, foreign = (tmp_path / name for name in (".eagrctl-1.part", ".eagrctl-2.part", "movie.part"))
    for path in (stale, live, foreign):
        path.touch()
    with live.open() as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        with locked(tmp_path):
            assert not stale.exists()
    assert live.exists()
    assert foreign.exists()


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_not_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    heard: list[Progress | Notice] = []
    with locked(tmp_path, listener=heard.append):
        assert not is_locked(tmp_path)
    assert [event.text for event in heard if isinstance(event, Notice) and event.warning] == [
        f"The file system of {tmp_path} has no locks: make sure that nothing else writes there"
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "folder"
    victim.write_text("precious")
    folder.mkdir()
    (folder / LOCK).symlink_to(victim)
    with pytest.raises(ShardError, match="cannot write to"), locked(folder, ShardError):
        pass
    assert victim.read_text() == "precious"


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with locked(tmp_path):
        child = os.fork()
        if not child:
            os.read(reading, 1)
            os._exit(0)
    try:
        with locked(tmp_path):
            pass
    finally:
        os.write(writing, b"x")
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)
