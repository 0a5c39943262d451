"""What every implementation of skiff.kubelet.runtime.Runtime does: the simulation on virtual time, containerd for real."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from skiff.kubelet import cgroups
from skiff.kubelet.containerd import SANDBOX_IMAGE, config_text
from skiff.kubelet.cri import CRIRuntime
from skiff.kubelet.images import busybox_archive
from skiff.kubelet.runtime import (
    POD_UID,
    ContainerConfig,
    NotFound,
    Runtime,
    RuntimeFailure,
    SandboxConfig,
)
from skiff.kubelet.simulated import SimulatedRuntime
from skiff.testing import run

IMAGE = "docker.io/library/contract:1"
SOON = 20.0
CGROUP = f"/skiff-contract-{os.getpid()}"
COMMANDS = {
    "forever": "trap 'exit 0' TERM; touch /ready; sleep 1000 & wait",
    "ends with 3": "sleep 0.3; exit 3",
    "ignores the signal": "trap '' TERM; while true; do sleep 1; done",
}
ANNOTATIONS = {"forever": {}, "ends with 3": {"run": "300ms=3"}, "ignores the signal": {"stop-delay": "1000s"}}
Scenario = Callable[["Subject"], Awaitable[None]]


@dataclass
class Subject:
    """The runtime under test and what its callers need. `uid` is another pod's at each call of `pod`."""

    runtime: Runtime
    directory: str
    events: list[str] = field(default_factory=list)
    made: int = 0

    def sandbox(self, behaviour: str = "forever") -> SandboxConfig:
        self.made += 1
        uid = f"uid-{self.made}-{self.directory.rpartition('/')[2]}"
        annotations = {f"sim.skiff.dev/{k}": v for k, v in ANNOTATIONS[behaviour].items()}
        return SandboxConfig(
            "pod",
            "default",
            uid,
            log_directory=f"{self.directory}/{uid}",
            hostname="pod",
            labels={POD_UID: uid},
            annotations=annotations,
            cgroup_parent=f"{CGROUP}/{uid}",
        )

    async def container(
        self, sandbox: SandboxConfig, sandbox_id: str, behaviour: str = "forever", attempt: int = 0
    ) -> str:
        found = await self.runtime.image_status(IMAGE)
        image = found.id if found else await self.runtime.pull_image(IMAGE, None, sandbox)
        config = ContainerConfig(
            "c",
            attempt,
            image,
            IMAGE,
            command=("sh", "-c", COMMANDS[behaviour]),
            labels={POD_UID: sandbox.uid},
            log_path=f"c/{attempt}.log",
        )
        return await self.runtime.create_container(sandbox_id, config, sandbox)

    async def running(self, behaviour: str = "forever") -> tuple[SandboxConfig, str, str]:
        """(sandbox, its id, the id of a container that runs)"""
        sandbox = self.sandbox(behaviour)
        sandbox_id = await self.runtime.run_sandbox(sandbox)
        id = await self.container(sandbox, sandbox_id, behaviour)
        await self.runtime.start_container(id)
        return sandbox, sandbox_id, id

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(SOON):
            while not await holds():  # noqa: ASYNC110 - outside world
                await asyncio.sleep(0.02)

    async def state(self, id: str) -> str:
        return (await self.runtime.container_status(id)).state


async def follow(subject: Subject) -> None:
    async for uid in subject.runtime.events():
        subject.events.append(uid)


async def perform(scenario: Scenario, make: Callable[[], Runtime], directory: str) -> None:
    subject = Subject(make(), directory)
    listener = asyncio.create_task(follow(subject))
    try:
        await asyncio.sleep(0.05)
        await scenario(subject)
    finally:
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)
        for sandbox in await subject.runtime.list_sandboxes():
            await subject.runtime.remove_sandbox(sandbox.id)
        await subject.runtime.close()


Perform = Callable[[Scenario], None]


@pytest.fixture(scope="module")
def containerd() -> Iterator[str]:
    """The socket of a containerd of our own, in a network namespace of its own."""
    home = Path(tempfile.mkdtemp(prefix="skiff-contract-", dir="/tmp"))
    (home / "cni").mkdir()
    ipam = {"type": "host-local", "ranges": [[{"subnet": "10.250.9.0/24"}]], "dataDir": str(home / "ipam")}
    plugins = [{"type": "bridge", "bridge": "contract0", "isGateway": True, "ipam": ipam}]
    conflist = {"cniVersion": "1.0.0", "name": "contract", "plugins": plugins}
    (home / "cni" / "10-contract.conflist").write_text(json.dumps(conflist))
    text = config_text(
        root=home / "root",
        state=home / "state",
        socket=home / "s",
        cni_conf_dir=home / "cni",
        cni_bin_dir="/usr/lib/cni",
    )
    (home / "config.toml").write_text(text)
    process = subprocess.Popen(
        ["unshare", "--net", "containerd", "--config", str(home / "config.toml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for name, sandbox in ((SANDBOX_IMAGE, True), (IMAGE, False)):
            busybox_archive(home / "image.tar", name, sandbox=sandbox)
            load(home, SOON)
        yield f"unix://{home}/s"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        for point in sorted(mounts_below(str(home)), reverse=True):
            subprocess.run(["umount", "-l", point], check=False)
        shutil.rmtree(home, ignore_errors=True)
        cgroups.remove(cgroups.detect(), CGROUP)


def load(home: Path, seconds: float) -> None:
    """Imports an image as soon as containerd answers."""
    end = time.monotonic() + seconds
    argv = ["ctr", "-a", str(home / "s"), "-n", "k8s.io", "images", "import", str(home / "image.tar")]
    while (done := subprocess.run(argv, capture_output=True, text=True)).returncode:
        assert time.monotonic() < end, done.stderr
        time.sleep(0.05)


def mounts_below(path: str) -> list[str]:
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [p for p in points if p.startswith(path)]


@pytest.fixture(params=["simulated", pytest.param("containerd", marks=pytest.mark.e2e)])
def contract(request: pytest.FixtureRequest, tmp_path: Path) -> Perform:
    """Runs a scenario against one implementation."""
    if request.param == "simulated":
        return lambda scenario: run(perform(scenario, SimulatedRuntime, str(tmp_path)))
    endpoint = request.getfixturevalue("containerd")
    return lambda scenario: asyncio.run(perform(scenario, lambda: CRIRuntime(endpoint), str(tmp_path)))


def test_it_is_ready(contract: Perform) -> None:
    async def scenario(s: Subject) -> None:
        info = await s.runtime.info()
        assert info.name and info.version and not info.runtime_problem and not info.network_problem

    contract(scenario)


def test_the_life_of_a_sandbox(contract: Perform) -> None:
    async def scenario(s: Subject) -> None:
        config = s.sandbox()
        id = await s.runtime.run_sandbox(config)
        status = await s.runtime.sandbox_status(id)
        assert (status.uid, status.ready, len(status.ips), status.host_network) == (config.uid, True, 1, False)
        assert [x.id for x in await s.runtime.list_sandboxes(config.uid)] == [id]
        assert await s.runtime.list_sandboxes("another") == []
        await s.runtime.stop_sandbox(id)
        assert [x.ready for x in await s.runtime.list_sandboxes(config.uid)] == [False]
        await s.runtime.stop_sandbox(id)
        await s.runtime.remove_sandbox(id)
        await s.runtime.remove_sandbox(id)
        assert await s.runtime.list_sandboxes(config.uid) == []

    contract(scenario)


def test_the_life_of_a_container(contract: Perform) -> None:
    async def scenario(s: Subject) -> None:
        sandbox = s.sandbox()
        sandbox_id = await s.runtime.run_sandbox(sandbox)
        id = await s.container(sandbox, sandbox_id)
        assert await s.state(id) == "created"
        await s.runtime.start_container(id)
        found = await s.runtime.container_status(id)
        assert (found.state, found.attempt, found.pod_uid, found.image) == ("running", 0, sandbox.uid, IMAGE)
        assert found.started >= found.created > 0
        listed = await s.runtime.list_containers(sandbox.uid)
        assert [(c.id, c.sandbox_id, c.state) for c in listed] == [(id, sandbox_id, "running")]
        while (await s.runtime.exec_sync(id, ["test", "-e", "/ready"], 10)).exit_code:
            pass  # a shell that has not set its trap yet would not heed the signal
        await s.runtime.stop_container(id, 10)
        ended = await s.runtime.container_status(id)
        assert (ended.state, ended.exit_code, ended.reason) == ("exited", 0, "Completed")
        assert ended.finished >= ended.started
        await s.runtime.stop_container(id, 10)
        await s.runtime.remove_container(id)
        await s.runtime.remove_container(id)
        with pytest.raises(NotFound):
            await s.runtime.container_status(id)

    contract(scenario)


def test_an_end_is_told_by_an_event(contract: Perform) -> None:
    async def scenario(s: Subject) -> None:
        sandbox, _, id = await s.running("ends with 3")

        async def told() -> bool:
            return sandbox.uid in s.events

        await s.until(told)
        found = await s.runtime.container_status(id)
        assert (found.state, found.exit_code, found.reason) == ("exited", 3, "Error")

    contract(scenario)


def test_who_ignores_the_signal_is_killed(contract: Perform) -> None:
    async def scenario(s: Subject) -> None:
        _, _, id = await s.running("ignores the signal")
        began = asyncio.get_running_loop().time()
        await s.runtime.stop_container(id, 1)
        assert 0.9 <= asyncio.get_running_loop().time() - began < SOON
        assert (await s.runtime.container_status(id)).exit_code == 137

    contract(scenario)


def test_a_second_stop_may_be_shorter(contract: Perform) -> None:
    async def scenario(s: Subject) -> None:
        _, _, id = await s.running("ignores the signal")
        patient = asyncio.create_task(s.runtime.stop_container(id, 600))
        await asyncio.sleep(0.2)
        patient.cancel()
        await asyncio.gather(patient, return_exceptions=True)
        async with asyncio.timeout(SOON):
            await s.runtime.stop_container(id, 1)
        assert await s.state(id) == "exited"

    contract(scenario)


def test_stopping_the_sandbox_ends_its_containers(contract: Perform) -> None:
    async def scenario(s: Subject) -> None:
        _, sandbox_id, id = await s.running("ignores the signal")
        await s.runtime.stop_sandbox(sandbox_id)
        assert await s.state(id) == "exited"
        await s.runtime.remove_sandbox(sandbox_id)
        with pytest.raises(NotFound):
            await s.runtime.container_status(id)

    contract(scenario)


def test_several_attempts_stand_side_by_side(contract: Perform) -> None:
    async def scenario(s: Subject) -> None:
        sandbox, sandbox_id, first = await s.running("ends with 3")

        async def ended() -> bool:
            return await s.state(first) == "exited"

        await s.until(ended)
        second = await s.container(sandbox, sandbox_id, attempt=1)
        await s.runtime.start_container(second)
        listed = {c.attempt: c.state for c in await s.runtime.list_containers(sandbox.uid)}
        assert listed == {0: "exited", 1: "running"}

    contract(scenario)


def test_commands_run_only_in_running_containers(contract: Perform) -> None:
    async def scenario(s: Subject) -> None:
        _, sandbox_id, id = await s.running()
        assert (await s.runtime.exec_sync(id, ["true"], 10)).exit_code == 0
        await s.runtime.stop_sandbox(sandbox_id)
        with pytest.raises(RuntimeFailure):
            await s.runtime.exec_sync(id, ["true"], 10)

    contract(scenario)


def test_a_stopped_sandbox_takes_no_container(contract: Perform) -> None:
    async def scenario(s: Subject) -> None:
        sandbox = s.sandbox()
        sandbox_id = await s.runtime.run_sandbox(sandbox)
        await s.runtime.remove_sandbox(sandbox_id)
        with pytest.raises(RuntimeFailure):
            await s.container(sandbox, sandbox_id)

    contract(scenario)


def test_images(contract: Perform) -> None:
    async def scenario(s: Subject) -> None:
        assert await s.runtime.image_status("docker.io/library/missing:1") is None
        sandbox = s.sandbox()
        if await s.runtime.image_status(IMAGE) is None:
            await s.runtime.pull_image(IMAGE, None, sandbox)
        found = await s.runtime.image_status(IMAGE)
        assert found is not None and found.size > 0 and IMAGE in found.tags
        assert found.id in [i.id for i in await s.runtime.list_images()]
        assert (await s.runtime.image_fs())[0].path

    contract(scenario)


def test_what_runs_is_measured(contract: Perform) -> None:
    async def scenario(s: Subject) -> None:
        sandbox, _, id = await s.running()
        measured = {x.id: x for x in await s.runtime.stats()}
        assert measured[id].pod_uid == sandbox.uid and measured[id].memory_working_set > 0

    contract(scenario)


REAL_ONLY: list[Any] = [
    pytest.param(["sh", "-c", "echo out; echo err >&2; exit 4"], (4, b"out\n", b"err\n"), id="output and exit code"),
    pytest.param(["cat", "/proc/1/comm"], (0, b"sh\n", b""), id="inside the container's processes"),
]


@pytest.mark.e2e
@pytest.mark.parametrize("command, expected", REAL_ONLY)
def test_commands_for_real(
    containerd: str, tmp_path: Path, command: list[str], expected: tuple[int, bytes, bytes]
) -> None:
    async def scenario(s: Subject) -> None:
        _, _, id = await s.running()
        found = await s.runtime.exec_sync(id, command, 10)
        assert (found.exit_code, found.stdout, found.stderr) == expected

    asyncio.run(perform(scenario, lambda: CRIRuntime(containerd), str(tmp_path)))
