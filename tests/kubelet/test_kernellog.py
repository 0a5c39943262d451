"""Who was killed for memory, from records as Linux writes them."""

from pathlib import Path

import pytest

from skiff.kubelet import kernellog
from skiff.kubelet.kernellog import KernelLog

CGROUP = (
    "6,812,3473565497,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=c0ffee,mems_allowed=0,"
    "oom_memcg=/skiff/kubepods/burstable/pod1,task_memcg=/skiff/kubepods/burstable/pod1/{id},task=dd,pid={pid},uid=0\n"
)
PROCESS = (
    "3,813,3473565499,-;Memory cgroup out of memory: Killed process {pid} (dd) total-vm:104668kB, anon-rss:19968kB\n"
)
OTHER = "6,814,3473565500,-;eth0: link up, task_memcg=/skiff/c0ffee\n SUBSYSTEM=net\n"


@pytest.mark.parametrize(
    ("text", "container", "pid", "expected"),
    [
        pytest.param(CGROUP.format(id="c0ffee", pid=7), "c0ffee", 0, True, id="by its cgroup"),
        pytest.param(CGROUP.format(id="c0ffee/inner", pid=7), "c0ffee", 0, True, id="by a cgroup below its own"),
        pytest.param(PROCESS.format(pid=7), "c0ffee", 7, True, id="by its process"),
        pytest.param(CGROUP.format(id="decade", pid=7) + PROCESS.format(pid=7), "c0ffee", 8, False, id="another one"),
        pytest.param(OTHER, "c0ffee", 0, False, id="other records"),
        pytest.param("", "c0ffee", 0, False, id="an empty log"),
    ],
)
def test_killed(tmp_path: Path, text: str, container: str, pid: int, expected: bool) -> None:
    (tmp_path / "kmsg").write_text(text)
    log = KernelLog(str(tmp_path / "kmsg"))
    assert log.killed(container, pid) is expected
    log.close()


def test_what_comes_later_is_read_when_asked_again(tmp_path: Path) -> None:
    with (tmp_path / "kmsg").open("w") as kernel:
        log = KernelLog(str(tmp_path / "kmsg"))
        assert not log.killed("c0ffee")
        kernel.write(CGROUP.format(id="c0ffee", pid=7))
        kernel.flush()
        assert log.killed("c0ffee")
    log.close()


def test_the_oldest_kills_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernellog, "REMEMBERED", 3)
    (tmp_path / "kmsg").write_text("".join(PROCESS.format(pid=n) for n in range(1, 6)))
    log = KernelLog(str(tmp_path / "kmsg"))
    assert [n for n in range(1, 6) if log.killed("none", n)] == [3, 4, 5]
    log.close()


def test_a_machine_without_the_log_knows_nobody(tmp_path: Path) -> None:
    log = KernelLog(str(tmp_path / "none"))
    assert not log.killed("c0ffee", 7)
    log.close()
