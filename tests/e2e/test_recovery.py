"""Any process is killed while a client loops through a Service, or stops to answer: nothing running is disturbed, all comes back."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from kube import Kube, until

from skiff.cluster.components import SUPERVISOR

APP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: recovery}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: IMAGE
        command: [sh, -c, "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"]
        readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: recovery}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""

VISITOR = """
import json, signal, socket, sys, time
host, good, failed = sys.argv[1], 0, []
stopped = False
def stop(*_):
    global stopped
    stopped = True
signal.signal(signal.SIGTERM, stop)
while not stopped:
    try:
        with socket.create_connection((host, 80), 5) as s:
            s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            answer = b""
            while chunk := s.recv(4096):
                answer += chunk
        assert b"200 OK" in answer, answer[:80]
        good += 1
    except (OSError, AssertionError) as err:
        failed.append(repr(err))
    time.sleep(0.01)
print(json.dumps({"good": good, "failed": failed}))
"""

PROCESSES = [
    pytest.param("apiserver", id="the API server"),
    pytest.param("manager", id="the manager"),
    pytest.param("node", id="the node agent"),
    pytest.param("containerd", id="containerd"),
]


@pytest.fixture(scope="module")
def app(kube: Kube) -> Iterator[Kube]:
    kube.kubectl("create", "namespace", "recovery")
    kube.kubectl("apply", "-f", "-", stdin=APP.replace("IMAGE", kube.image))
    kube.kubectl("-n", "recovery", "rollout", "status", "deployment/web", "--timeout=60s")
    yield kube
    kube.kubectl("delete", "namespace", "recovery")


def containers(kube: Kube) -> dict[str, tuple[str, int]]:
    """Of the application's pods: name → (container id, restart count)."""
    pods = json.loads(kube.kubectl("-n", "recovery", "get", "pods", "-l", "app=web", "-o", "json").stdout)["items"]
    statuses = {p["metadata"]["name"]: p["status"]["containerStatuses"][0] for p in pods}
    return {name: (s["containerID"], s["restartCount"]) for name, s in statuses.items()}


def converges(kube: Kube, name: str) -> None:
    """A new pod is scheduled, runs, answers to exec and logs, and goes away."""
    until(lambda: kube.kubectl("get", "--raw", "/readyz", check=False).returncode == 0, "the API server is ready")
    kube.kubectl("-n", "recovery", "run", name, f"--image={kube.image}", "--restart=Never", "--", "sleep", "1000")
    kube.kubectl("-n", "recovery", "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    assert kube.kubectl("-n", "recovery", "exec", name, "--", "echo", "alive").stdout == "alive\n"
    kube.kubectl("-n", "recovery", "delete", "pod", name, "--grace-period=1", "--timeout=60s")


@pytest.mark.parametrize("process", PROCESSES)
def test_kill(app: Kube, process: str) -> None:
    address = app.kubectl("-n", "recovery", "get", "service", "web", "-o", "jsonpath={.spec.clusterIP}").stdout
    before = containers(app)
    visitor = subprocess.Popen([sys.executable, "-c", VISITOR, address], stdout=subprocess.PIPE, text=True)
    try:
        first = app.pid(process)
        os.kill(first, signal.SIGKILL)
        until(lambda: app.pid(process) not in (0, first), f"{process} is started again")
        converges(app, f"after-{process}")
        assert app.skiff("status").returncode == 0
    finally:
        visitor.terminate()
        said, _ = visitor.communicate(timeout=10)
    visits = json.loads(said)
    assert visits["failed"] == []
    assert visits["good"] > 20
    assert containers(app) == before


@pytest.fixture
def impatient(app: Kube) -> Iterator[Kube]:
    """Under a supervisor that waits six seconds for an answer, not a minute."""
    run = app.state_dir / "run"
    end_supervisor(app)
    specs = json.loads((run / "processes.json").read_text())
    (run / "processes.json").write_text(json.dumps([{**s, "patience": 6.0} for s in specs]))
    supervisor = subprocess.Popen([sys.executable, "-S", "-E", SUPERVISOR, run], stdout=subprocess.DEVNULL)
    until(lambda: app.pid("supervisor") == supervisor.pid, "the supervisor runs")
    yield app
    end_supervisor(app)
    supervisor.wait()
    app.skiff("up")


def end_supervisor(app: Kube) -> None:
    os.kill(app.pid("supervisor"), signal.SIGKILL)
    until(lambda: app.pid("supervisor") == 0, "the supervisor is gone")


def test_what_hangs_is_started_again(impatient: Kube) -> None:
    before = containers(impatient)
    stopped = {p.values[0]: impatient.pid(p.values[0]) for p in PROCESSES}
    for pid in stopped.values():
        os.kill(pid, signal.SIGSTOP)
    for process, pid in stopped.items():
        until(lambda name=process, was=pid: impatient.pid(name) not in (0, was), f"{process} is started again")
    converges(impatient, "after-silence")
    assert "node was started again" in impatient.skiff("status").stdout
    assert containers(impatient) == before


def test_a_killed_supervisor_is_replaced_by_the_next_up(app: Kube) -> None:
    before = containers(app)
    processes = {p: app.pid(p) for p in ("apiserver", "manager", "node", "containerd")}
    supervisor = app.pid("supervisor")
    end_supervisor(app)
    app.skiff("up")
    assert app.pid("supervisor") not in (0, supervisor)
    assert {p: app.pid(p) for p in processes} == processes
    assert containers(app) == before
