"""Pods in real containers: what they are given, how they start, fail, are probed and end; in upstream's words."""

import json
import os
import re
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import pytest
from kube import Kube, until
from space import Obj, Space, ctr, holds, pod, space

FOREVER = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"
ONCE: Obj = {"restartPolicy": "Never"}
EVERY_SECOND: Obj = {"periodSeconds": 1, "failureThreshold": 1}


def objects(scratch: Path) -> list[Obj]:
    """All pods of this module: they start side by side."""
    return [
        {"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"COLOR": "blue"}},
        {"kind": "Secret", "metadata": {"name": "hidden"}, "stringData": {"WORD": "sesame"}},
        environment(),
        initialized(),
        pod("crash", "echo about to fail; exit 3"),
        pod(
            "on-failure",
            "test -f /d/seen && exit 0; touch /d/seen; exit 1",
            volumeMounts=[{"name": "d", "mountPath": "/d"}],
            pod_spec={"restartPolicy": "OnFailure", "volumes": [{"name": "d", "emptyDir": {}}]},
        ),
        pod("failed", "exit 7", pod_spec=ONCE),
        pod("completed", "true", pod_spec=ONCE),
        pod("oom", "dd if=/dev/zero of=/dev/null bs=100M", pod_spec=ONCE, resources={"limits": {"memory": "20Mi"}}),
        pod("never-there", "true", image="nowhere.invalid/nothing:1", imagePullPolicy="Never"),
        pod("not-pullable", "true", image="127.0.0.1:9/nothing:1"),
        pod("misnamed", "true", image="Nothing/Here"),
        pod("no-key", "true", env=[key_of("configMap", "settings", "missing")]),
        pod("no-map", "true", envFrom=[{"configMapRef": {"name": "missing"}}]),
        pod("bad-command", "", command=["/no/such/program"], pod_spec=ONCE),
        pod(
            "message",
            "echo -n the last words > /tmp/message; exit 5",
            terminationMessagePath="/tmp/message",
            pod_spec=ONCE,
        ),
        pod(
            "log-message", "echo from the log; exit 6", terminationMessagePolicy="FallbackToLogsOnError", pod_spec=ONCE
        ),
        pod(
            "nobody",
            FOREVER,
            securityContext={
                "runAsUser": 1000,
                "runAsGroup": 2000,
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            },
            pod_spec={"securityContext": {"supplementalGroups": [3000], "fsGroup": 4000}},
        ),
        pod("capable", FOREVER, securityContext={"capabilities": {"add": ["NET_ADMIN"], "drop": ["CHOWN"]}}),
        pod("privileged", FOREVER, securityContext={"privileged": True}),
        pod("root-refused", "true", securityContext={"runAsNonRoot": True}),
        pod("on-host", FOREVER, pod_spec={"hostNetwork": True, "hostPID": True}),
        pod("guaranteed", FOREVER, resources={"limits": {"cpu": "100m", "memory": "32Mi"}}),
        pod("burstable", FOREVER, resources={"requests": {"cpu": "50m"}, "limits": {"memory": "64Mi"}}),
        pod(
            "live-exec",
            f"touch /tmp/ok; (sleep 2; rm /tmp/ok) & {FOREVER}",
            livenessProbe={"exec": {"command": ["cat", "/tmp/ok"]}, **EVERY_SECOND},
        ),
        pod(
            "live-http",
            "mkdir /www; echo ok > /www/ok; (sleep 2; rm /www/ok) & exec httpd -f -p 8080 -h /www",
            livenessProbe={"httpGet": {"path": "/ok", "port": "web"}, **EVERY_SECOND, "initialDelaySeconds": 1},
            ports=[{"name": "web", "containerPort": 8080}],
        ),
        pod(
            "live-tcp",
            f"timeout 3 nc -ll -p 9000 -e true & sleep 0.3; {FOREVER}",
            livenessProbe={"tcpSocket": {"port": 9000}, **EVERY_SECOND, "initialDelaySeconds": 1},
        ),
        pod(
            "live-grpc",
            FOREVER,
            livenessProbe={"grpc": {"port": 19797}, **EVERY_SECOND},
            pod_spec={"hostNetwork": True},
        ),
        pod(
            "held-back",
            FOREVER,
            startupProbe={
                "exec": {"command": ["test", "-f", "/tmp/started"]},
                "periodSeconds": 1,
                "failureThreshold": 60,
            },
            livenessProbe={"exec": {"command": ["test", "-f", "/tmp/started"]}, **EVERY_SECOND},
            readinessProbe={"exec": {"command": ["test", "-f", "/tmp/ready"]}, "periodSeconds": 1},
        ),
        hooked(scratch),
        pod("stubborn", "trap '' TERM; while :; do sleep 1; done", pod_spec={"terminationGracePeriodSeconds": 2}),
        pod("polite", FOREVER, pod_spec={"terminationGracePeriodSeconds": 60}),
        pod("deadline", FOREVER, pod_spec={"activeDeadlineSeconds": 2}),
    ]


def key_of(kind: str, name: str, key: str) -> Obj:
    return {"name": "VALUE", "valueFrom": {f"{kind}KeyRef": {"name": name, "key": key}}}


def environment() -> Obj:
    def field(name: str, path: str) -> Obj:
        return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}

    def resource(name: str, what: str, divisor: str) -> Obj:
        return {"name": name, "valueFrom": {"resourceFieldRef": {"resource": what, "divisor": divisor}}}

    return pod(
        "environment",
        "",
        command=["sh", "-c", 'env; echo "$0 $1"', "$(GREETING)", "$(UNKNOWN) $$(GREETING)"],
        args=["and $(COLOR)"],
        resources={"requests": {"cpu": "100m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}},
        envFrom=[{"configMapRef": {"name": "settings"}}, {"prefix": "S_", "secretRef": {"name": "hidden"}}],
        env=[
            {"name": "PLAIN", "value": "one"},
            {"name": "GREETING", "value": "hello $(PLAIN)"},
            {"name": "OPTIONAL", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "x", "optional": True}}},
            key_of("secret", "hidden", "WORD"),
            field("POD", "metadata.name"),
            field("NODE", "spec.nodeName"),
            field("IP", "status.podIP"),
            field("HOST", "status.hostIP"),
            field("LABEL", "metadata.labels['app']"),
            resource("REQUEST", "requests.cpu", "1m"),
            resource("LIMIT", "limits.memory", "1Mi"),
        ],
        pod_spec=ONCE,
    )


def initialized() -> Obj:
    mounts = [{"name": "shared", "mountPath": "/shared"}]

    def init(name: str, script: str, **more: object) -> Obj:
        return {"name": name, "image": "skiff-demo:1", "command": ["sh", "-c", script], "volumeMounts": mounts, **more}

    return pod(
        "initialized",
        "echo main >> /shared/log; cat /shared/log",
        volumeMounts=mounts,
        pod_spec={
            "restartPolicy": "Never",
            "volumes": [{"name": "shared", "emptyDir": {}}],
            "initContainers": [
                init("first", "sleep 0.5; echo first >> /shared/log"),
                init(
                    "sidecar",
                    f"sleep 0.5; echo sidecar >> /shared/log; {FOREVER}",
                    restartPolicy="Always",
                    startupProbe={"exec": {"command": ["grep", "sidecar", "/shared/log"]}, "periodSeconds": 1},
                ),
                init("second", "echo second >> /shared/log"),
            ],
        },
    )


def hooked(scratch: Path) -> Obj:
    say = {c: ["sh", "-c", f"echo {c} >> /said/words"] for c in ("postStart", "preStop")}
    return pod(
        "hooked",
        "trap 'echo TERM >> /said/words; exit 0' TERM; while :; do sleep 1 & wait $!; done",
        lifecycle={hook: {"exec": {"command": command}} for hook, command in say.items()},
        volumeMounts=[{"name": "said", "mountPath": "/said"}],
        pod_spec={
            "terminationGracePeriodSeconds": 10,
            "volumes": [{"name": "said", "hostPath": {"path": str(scratch)}}],
        },
    )


class Health:
    """A gRPC health service on the node's network, whose answer a test may change."""

    def __init__(self) -> None:
        import grpc

        self.serving = True
        handler = grpc.unary_unary_rpc_method_handler(lambda request, context: bytes([8, 1 if self.serving else 2]))
        service = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler})
        self.server = grpc.server(futures.ThreadPoolExecutor(2))
        self.server.add_generic_rpc_handlers((service,))
        self.server.add_insecure_port("0.0.0.0:19797")
        self.server.start()


@pytest.fixture(scope="module")
def health(own_network: None) -> Iterator[Health]:
    found = Health()
    yield found
    found.server.stop(None).wait()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("said")


@pytest.fixture(scope="module")
def pods(kube: Kube, health: Health, scratch: Path) -> Iterator[Space]:
    with space(kube, "pods") as here:
        here.create(*objects(scratch))
        yield here


def ended(pods: Space, name: str) -> Obj:
    """How the only run of the first container ended."""
    pods.phase(name, "Succeeded", "Failed")
    kind, details = pods.state(name)
    assert kind == "terminated"
    return details


# What a container is given


def test_environment(pods: Space) -> None:
    ended(pods, "environment")
    said = pods.logs("environment")
    values = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    wanted = {
        "COLOR": "blue",
        "S_WORD": "sesame",
        "PLAIN": "one",
        "GREETING": "hello one",
        "VALUE": "sesame",
        "POD": "environment",
        "NODE": "node-1",
        "HOST": "10.89.0.1",
        "LABEL": "environment",
        "REQUEST": "100",
        "LIMIT": "32",
        "KUBERNETES_SERVICE_HOST": "10.96.0.1",
        "KUBERNETES_SERVICE_PORT_HTTPS": "443",
        "HOSTNAME": "environment",
    }
    assert {k: values.get(k) for k in wanted} == wanted
    assert values["IP"] == pods.get("Pod", "environment")["status"]["podIP"]
    assert "OPTIONAL" not in values
    assert said.splitlines()[-1] == "hello one $(UNKNOWN) $(GREETING)"


def test_init_containers_and_sidecars_start_in_order(pods: Space) -> None:
    final = pods.phase("initialized", "Succeeded")
    assert pods.logs("initialized", "-c", "main").split() == ["first", "sidecar", "second", "main"]
    statuses = {s["name"]: s["state"]["terminated"] for s in final["status"]["initContainerStatuses"]}
    assert {n: s["reason"] for n, s in statuses.items()} == dict.fromkeys(("first", "sidecar", "second"), "Completed")
    assert pods.condition("initialized", "Initialized") == "True"


# How a container ends


def test_crash_loop(pods: Space) -> None:
    waiting = pods.waits_for("crash", "CrashLoopBackOff")
    uid = pods.get("Pod", "crash")["metadata"]["uid"]
    message = rf"back-off (10|20)s restarting failed container=main pod=crash_pods\({uid}\)"
    assert re.fullmatch(message, waiting["message"])
    status = pods.status("crash")
    assert status["restartCount"] >= 1
    assert status["lastState"]["terminated"] | {"exitCode": 3, "reason": "Error"} == status["lastState"]["terminated"]
    pods.event("crash", "BackOff", f"Back-off restarting failed container main in pod crash_pods({uid})")
    assert pods.logs("crash", "--previous") == "about to fail\n"
    assert pods.get("Pod", "crash")["status"]["phase"] == "Running"


def test_on_failure_restarts_until_it_succeeds(pods: Space) -> None:
    assert ended(pods, "on-failure")["reason"] == "Completed"
    assert pods.get("Pod", "on-failure")["status"]["phase"] == "Succeeded"
    assert pods.status("on-failure")["restartCount"] == 1


@pytest.mark.parametrize(
    ("name", "phase", "exit_code", "reason"),
    [
        pytest.param("failed", "Failed", 7, "Error", id="a failure that is not restarted"),
        pytest.param("completed", "Succeeded", 0, "Completed", id="a success"),
        pytest.param("oom", "Failed", 137, "OOMKilled", id="killed for its memory"),
        pytest.param("bad-command", "Failed", 128, "StartError", id="a program that does not exist"),
    ],
)
def test_end(pods: Space, name: str, phase: str, exit_code: int, reason: str) -> None:
    assert ended(pods, name)["exitCode"] == exit_code
    # of many kills at once the kernel names the containers of the first ones only, and then the end comes first
    until(lambda: pods.state(name)[1]["reason"] == reason, f"{name} says {reason}")
    assert pods.get("Pod", name)["status"]["phase"] == phase


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("message", "the last words", id="from its own path"),
        pytest.param("log-message", "from the log\n", id="from the log"),
    ],
)
def test_termination_message(pods: Space, name: str, message: str) -> None:
    assert ended(pods, name)["message"] == message


def test_deadline(pods: Space) -> None:
    status = pods.phase("deadline", "Failed")["status"]
    assert status["reason"] == "DeadlineExceeded"
    assert status["message"] == "Pod was active on the node longer than the specified deadline"
    pods.event("deadline", "DeadlineExceeded")


# Why a container does not start


@pytest.mark.parametrize(
    ("name", "reason", "message", "event"),
    [
        pytest.param(
            "never-there",
            "ErrImageNeverPull",
            'Container image "nowhere.invalid/nothing:1" is not present with pull policy of Never',
            "ErrImageNeverPull",
            id="the image may not be pulled",
        ),
        pytest.param(
            "misnamed",
            "InvalidImageName",
            'Failed to apply default image tag "Nothing/Here": couldn\'t parse image name "Nothing/Here": '
            "invalid reference format: repository name (Here) must be lowercase",
            "InspectFailed",
            id="the image's name is none",
        ),
        pytest.param(
            "no-key",
            "CreateContainerConfigError",
            "couldn't find key missing in ConfigMap pods/settings",
            "Failed",
            id="a key is missing",
        ),
        pytest.param(
            "no-map",
            "CreateContainerConfigError",
            'configmap "missing" not found',
            "Failed",
            id="a config map is missing",
        ),
    ],
)
def test_waiting(pods: Space, name: str, reason: str, message: str, event: str) -> None:
    assert pods.waits_for(name, reason)["message"] == message
    pods.event(name, event)
    assert pods.get("Pod", name)["status"]["phase"] == "Pending"


def test_root_is_refused_where_it_is_not_allowed(pods: Space) -> None:
    waiting = pods.waits_for("root-refused", "CreateContainerConfigError")
    uid = pods.get("Pod", "root-refused")["metadata"]["uid"]
    where = f'(pod: "root-refused_pods({uid})", container: main)'
    assert waiting["message"] == f"container has runAsNonRoot and image will run as root {where}"


def test_an_image_that_cannot_be_pulled(pods: Space) -> None:
    waiting = pods.waits_for("not-pullable", "ImagePullBackOff")
    assert waiting["message"].startswith('Back-off pulling image "127.0.0.1:9/nothing:1": ErrImagePull: ')
    pods.event("not-pullable", "Pulling", 'Pulling image "127.0.0.1:9/nothing:1"')
    pods.event("not-pullable", "Failed", 'Failed to pull image "127.0.0.1:9/nothing:1": ')
    pods.event("not-pullable", "Failed", "Error: ErrImagePull")
    pods.event("not-pullable", "Failed", "Error: ImagePullBackOff")
    pods.event("not-pullable", "BackOff", 'Back-off pulling image "127.0.0.1:9/nothing:1"')


def test_events_of_a_start(pods: Space) -> None:
    pods.ready("polite")
    pods.event("polite", "Scheduled", "Successfully assigned pods/polite to node-1")
    pods.event("polite", "Pulled", 'Container image "skiff-demo:1" already present on machine')
    pods.event("polite", "Created", "Container created")
    pods.event("polite", "Started", "Container started")


# Who a container is


def test_user_groups_and_a_read_only_root(pods: Space) -> None:
    pods.ready("nobody")
    assert pods.sh("nobody", "id -u; id -g").split() == ["1000", "2000"]
    assert set(pods.sh("nobody", "id -G").split()) == {"2000", "3000", "4000"}
    assert "Read-only file system" in pods.sh("nobody", "touch /x", check=False)
    status = pods.sh("nobody", "cat /proc/1/status")
    assert re.search(r"CapBnd:\s+0+\n", status)
    assert re.search(r"NoNewPrivs:\s+1\n", status)


def test_capabilities(pods: Space) -> None:
    pods.ready("capable", "privileged")
    chown, net_admin, sys_admin = 1 << 0, 1 << 12, 1 << 21

    def has(name: str) -> int:
        return int(pods.sh(name, "grep CapEff /proc/1/status | cut -f2"), 16)

    assert has("capable") & (chown | net_admin | sys_admin) == net_admin
    assert has("privileged") & sys_admin
    assert pods.sh("privileged", "ls /dev/null /dev/kmsg") == "/dev/kmsg\n/dev/null"
    assert "mount" in pods.sh("capable", "mount -t tmpfs none /mnt", check=False)


def test_the_hosts_namespaces(pods: Space) -> None:
    pods.ready("on-host")
    status = pods.get("Pod", "on-host")["status"]
    assert status["podIP"] == status["hostIP"] == "10.89.0.1"
    assert "skiff0" in pods.sh("on-host", "ip link")
    assert pods.sh("on-host", f"cat /proc/{os.getpid()}/comm").strip() == Path("/proc/self/comm").read_text().strip()


# Resources


def cgroup(kube: Kube, controller: str, pod: Obj, container: bool = False) -> Path:
    """The pod's directory, or that of its first container."""
    tree = (
        Path("/sys/fs/cgroup")
        if Path("/sys/fs/cgroup/cgroup.controllers").exists()
        else Path("/sys/fs/cgroup", controller)
    )
    middle = {"Guaranteed": "", "Burstable": "burstable", "BestEffort": "besteffort"}[pod["status"]["qosClass"]]
    base = tree / kube.state_dir.name / "kubepods" / middle / f"pod{pod['metadata']['uid']}"
    return (
        base / pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://") if container else base
    )


@pytest.mark.parametrize("of_container", [pytest.param(False, id="pod"), pytest.param(True, id="container")])
@pytest.mark.parametrize(
    ("name", "qos", "shares", "quota", "memory"),
    [
        pytest.param("guaranteed", "Guaranteed", 102, 10000, 32 << 20, id="guaranteed"),
        pytest.param("burstable", "Burstable", 51, -1, 64 << 20, id="burstable"),
        pytest.param("polite", "BestEffort", 2, -1, None, id="best effort"),
    ],
)
def test_resources(
    pods: Space, name: str, qos: str, shares: int, quota: int, memory: int | None, of_container: bool
) -> None:
    pods.ready(name)
    found = pods.get("Pod", name)
    assert found["status"]["qosClass"] == qos

    def read(controller: str, v1: str, v2: str) -> str:
        directory = cgroup(pods.kube, controller, found, of_container)
        return next((directory / f).read_text().strip() for f in (v1, v2) if (directory / f).exists())

    weight = 1 + (shares - 2) * 9999 // 262142
    assert read("cpu", "cpu.shares", "cpu.weight") in (str(shares), str(weight))
    assert read("cpu", "cpu.cfs_quota_us", "cpu.max") in (str(quota), f"{'max' if quota < 0 else quota} 100000")
    limit = read("memory", "memory.limit_in_bytes", "memory.max")
    assert limit == str(memory) if memory else limit == "max" or int(limit) > 1 << 50


# Probes


@pytest.mark.parametrize(
    ("name", "why"),
    [
        pytest.param("live-exec", "cat: can't open '/tmp/ok': No such file or directory", id="a command"),
        pytest.param("live-http", "HTTP probe failed with statuscode: 404", id="a web page"),
        pytest.param("live-tcp", "connect: connection refused", id="a port"),
        pytest.param("live-grpc", 'service unhealthy (responded with "NOT_SERVING")', id="a health service"),
    ],
)
def test_a_failed_liveness_probe_restarts(pods: Space, health: Health, name: str, why: str) -> None:
    until(lambda: pods.state(name)[0] == "running", f"{name} runs")
    health.serving = name != "live-grpc"
    until(lambda: pods.status(name).get("restartCount"), f"{name} was restarted")
    health.serving = True
    pods.event(name, "Unhealthy", "Liveness probe failed: ")
    pods.event(name, "Unhealthy", why)
    pods.event(name, "Killing", "Container main failed liveness probe, will be restarted")


def test_a_startup_probe_holds_back_the_others(pods: Space) -> None:
    until(lambda: pods.state("held-back")[0] == "running", "it runs")
    pods.event("held-back", "Unhealthy", "Startup probe failed: ")
    status = pods.status("held-back")
    assert (status["started"], status["ready"], status["restartCount"]) == (False, False, 0)
    pods.sh("held-back", "touch /tmp/started")
    until(lambda: pods.status("held-back")["started"], "it has started")
    assert pods.condition("held-back", "Ready") == "False"
    pods.sh("held-back", "touch /tmp/ready")
    pods.ready("held-back")
    pods.sh("held-back", "rm /tmp/ready")
    until(lambda: pods.condition("held-back", "Ready") == "False", "it is not ready any more")
    assert pods.status("held-back")["restartCount"] == 0


# The end


def test_hooks_come_before_the_signal(pods: Space, scratch: Path) -> None:
    pods.ready("hooked")
    pods.delete("Pod", "hooked")
    pods.gone("hooked")
    assert (scratch / "words").read_text().split() == ["postStart", "preStop", "TERM"]


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        pytest.param("polite", 0.0, 5.0, id="a container that heeds the signal ends at once"),
        pytest.param("stubborn", 2.0, 10.0, id="one that does not is killed after its grace period"),
    ],
)
def test_termination(pods: Space, name: str, least: float, most: float) -> None:
    pods.ready(name)
    began = time.monotonic()
    pods.delete("Pod", name)
    meta = pods.get("Pod", name)["metadata"]
    assert meta["deletionGracePeriodSeconds"] == (60 if name == "polite" else 2)
    pods.gone(name)
    assert least <= time.monotonic() - began < most
    pods.event(name, "Killing", "Stopping container main")


def test_a_deleted_pod_leaves_nothing_on_the_node(pods: Space) -> None:
    pods.ready("capable")
    found = pods.get("Pod", "capable")
    uid, parent = found["metadata"]["uid"], cgroup(pods.kube, "memory", found)
    id = found["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    spec = json.loads(ctr(pods.kube, "containers", "info", id))["Spec"]
    network = next(n["path"] for n in spec["linux"]["namespaces"] if n["type"] == "network")
    sandbox = spec["annotations"]["io.kubernetes.cri.sandbox-id"]
    directory = pods.kube.state_dir / "nodes" / "node-1" / "pods" / uid
    assert parent.exists() and directory.exists()
    pods.delete("Pod", "capable")
    pods.gone("capable")
    until(lambda: not parent.exists(), "its cgroup is gone")
    until(lambda: not directory.exists(), "its directory is gone")
    until(
        lambda: not {id, sandbox} & set(ctr(pods.kube, "containers", "list", "-q").split()), "its containers are gone"
    )
    assert not Path(network).exists() or "/proc/" in network
    assert uid not in Path("/proc/mounts").read_text()
    assert sandbox not in Path("/proc/mounts").read_text()
    assert not list((pods.kube.state_dir / "nodes" / "node-1" / "logs").glob(f"*{uid}*"))


# Static pods


def test_static_pod(pods: Space) -> None:
    manifest = pods.kube.state_dir / "manifests" / "static.json"
    body = pod("static", FOREVER)
    body["metadata"]["namespace"] = pods.name
    manifest.parent.mkdir(exist_ok=True)
    manifest.write_text(json.dumps({"apiVersion": "v1", **body}))
    holds(lambda: pods.condition("static-node-1", "Ready") == "True", "the mirror pod is ready")
    mirror = pods.get("Pod", "static-node-1")
    assert mirror["metadata"]["annotations"]["kubernetes.io/config.source"] == "file"
    assert mirror["metadata"]["ownerReferences"][0]["kind"] == "Node"
    started = pods.state("static-node-1")
    assert pods.sh("static-node-1", "echo hello") == "hello"
    pods.kubectl("delete", "pod", "static-node-1", "--grace-period=0", "--force")
    holds(
        lambda: pods.get("Pod", "static-node-1")["metadata"]["uid"] != mirror["metadata"]["uid"], "it is mirrored again"
    )
    holds(lambda: pods.state("static-node-1") == started, "the same container runs on")
    manifest.unlink()
    pods.gone("static-node-1")
