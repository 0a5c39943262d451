"""Volumes as containers see them: what is in them, who may read and write, and what changes while they run."""

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from kube import Kube, until
from space import Obj, Space, holds, pod, space

FOREVER = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"
SYNC = "example.com/look-again"


def mounted(name: str, volumes: dict[str, Obj], mounts: list[Obj] | None = None, **spec: object) -> Obj:
    """A pod with each volume at /NAME, or as `mounts` says."""
    mounts = mounts or [{"name": v, "mountPath": f"/{v}"} for v in volumes]
    listed = [{"name": v, **source} for v, source in volumes.items()]
    return pod(name, FOREVER, volumeMounts=mounts, pod_spec={"volumes": listed, **spec})


def objects(host: Path) -> list[Obj]:
    (host / "there").mkdir()
    (host / "file").write_text("a file of the node")
    token = {"path": "token", "expirationSeconds": 600, "audience": "https://kubernetes.default.svc.cluster.local"}
    fields = [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "about/name", "fieldRef": {"fieldPath": "metadata.name"}},
        {
            "path": "memory",
            "resourceFieldRef": {"containerName": "main", "resource": "limits.memory", "divisor": "1Mi"},
        },
    ]
    return [
        {"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"one": "1", "two": "2", "live": "before"}},
        {"kind": "Secret", "metadata": {"name": "hidden"}, "stringData": {"word": "sesame"}},
        mounted(
            "empty",
            {"disk": {"emptyDir": {}}, "memory": {"emptyDir": {"medium": "Memory", "sizeLimit": "4Mi"}}},
        ),
        mounted(
            "host",
            {
                "present": {"hostPath": {"path": str(host / "there"), "type": "Directory"}},
                "made": {"hostPath": {"path": str(host / "made"), "type": "DirectoryOrCreate"}},
                "file": {"hostPath": {"path": str(host / "file"), "type": "File"}},
                "touched": {"hostPath": {"path": str(host / "touched"), "type": "FileOrCreate"}},
                "null": {"hostPath": {"path": "/dev/null", "type": "CharDevice"}},
            },
        ),
        mounted("wrong-type", {"file": {"hostPath": {"path": str(host / "file"), "type": "Directory"}}}),
        mounted("missing", {"settings": {"configMap": {"name": "not-yet"}}}),
        mounted(
            "payload",
            {
                "map": {"configMap": {"name": "settings"}},
                "items": {"configMap": {"name": "settings", "items": [{"key": "one", "path": "a/b", "mode": 0o400}]}},
                "secret": {"secret": {"secretName": "hidden", "defaultMode": 0o440}},
                "optional": {"configMap": {"name": "none", "optional": True}},
            },
        ),
        pod(
            "sub-path",
            FOREVER,
            volumeMounts=[
                {"name": "map", "mountPath": "/etc/one", "subPath": "one"},
                {"name": "disk", "mountPath": "/part", "subPathExpr": "of/$(POD)"},
                {"name": "disk", "mountPath": "/whole"},
                {"name": "disk", "mountPath": "/readonly", "readOnly": True},
            ],
            env=[{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            pod_spec={
                "volumes": [{"name": "map", "configMap": {"name": "settings"}}, {"name": "disk", "emptyDir": {}}]
            },
        ),
        pod(
            "projected",
            FOREVER,
            resources={"limits": {"memory": "32Mi"}},
            volumeMounts=[{"name": "all", "mountPath": "/all"}, {"name": "down", "mountPath": "/down"}],
            pod_spec={
                "volumes": [
                    {
                        "name": "all",
                        "projected": {
                            "sources": [
                                {"serviceAccountToken": token},
                                {"configMap": {"name": "settings", "items": [{"key": "two", "path": "two"}]}},
                                {"secret": {"name": "hidden"}},
                            ]
                        },
                    },
                    {"name": "down", "downwardAPI": {"items": fields}},
                ]
            },
        ),
        mounted(
            "grouped",
            {"disk": {"emptyDir": {}}, "secret": {"secret": {"secretName": "hidden", "defaultMode": 0o400}}},
            securityContext={"runAsUser": 1000, "fsGroup": 4000},
        ),
    ]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("host")


@pytest.fixture(scope="module")
def volumes(kube: Kube, host: Path) -> Iterator[Space]:
    with space(kube, "volumes") as here:
        here.create(*objects(host))
        yield here


def test_empty_dir(volumes: Space) -> None:
    volumes.ready("empty")
    assert volumes.sh("empty", "stat -c %a /disk /memory").split() == ["777", "777"]
    assert volumes.sh("empty", "grep -c ' /memory tmpfs' /proc/mounts") == "1"
    full = volumes.sh("empty", "dd if=/dev/zero of=/memory/x bs=1M count=8", check=False)
    assert "No space left on device" in full
    assert volumes.sh("empty", "echo kept > /disk/x; cat /disk/x") == "kept"


def test_an_empty_dir_outlives_its_container(volumes: Space) -> None:
    volumes.ready("empty")
    volumes.sh("empty", "echo kept > /disk/stays; kill 1", check=False)
    until(
        lambda: volumes.status("empty").get("restartCount") and volumes.state("empty")[0] == "running", "it runs again"
    )
    assert volumes.sh("empty", "cat /disk/stays") == "kept"


def test_host_path(volumes: Space, host: Path) -> None:
    volumes.ready("host")
    volumes.sh("host", "echo hello > /present/x; echo hello > /made/x; echo hello > /touched")
    assert [(host / p).read_text() for p in ("there/x", "made/x", "touched")] == ["hello\n"] * 3
    assert volumes.sh("host", "cat /file") == "a file of the node"
    assert volumes.sh("host", "test -c /null && echo device") == "device"


def test_a_path_of_the_wrong_type_is_told(volumes: Space, host: Path) -> None:
    text = f'MountVolume.SetUp failed for volume "file" : hostPath type check failed: {host}/file is not a directory'
    volumes.event("wrong-type", "FailedMount", text)
    assert volumes.state("wrong-type") == ("waiting", {"reason": "ContainerCreating"})


def test_a_missing_config_map_is_waited_for(volumes: Space) -> None:
    volumes.event(
        "missing", "FailedMount", 'MountVolume.SetUp failed for volume "settings" : configmap "not-yet" not found'
    )
    volumes.create({"kind": "ConfigMap", "metadata": {"name": "not-yet"}, "data": {"x": "there now"}})
    volumes.ready("missing")
    assert volumes.sh("missing", "cat /settings/x") == "there now"


def test_config_map_and_secret(volumes: Space) -> None:
    volumes.ready("payload")
    assert volumes.sh("payload", "cd /map; cat one two").split() == ["12"]
    assert volumes.sh("payload", "ls /map").split() == ["live", "one", "two"]
    assert volumes.sh("payload", "cat /items/a/b; ls /items") == "1a"
    assert volumes.sh("payload", "cat /secret/word") == "sesame"
    assert volumes.sh("payload", "stat -Lc %a /map/one /items/a/b /secret/word").split() == ["644", "400", "440"]
    assert volumes.sh("payload", "ls /optional") == ""
    assert "Read-only file system" in volumes.sh("payload", "touch /map/x", check=False)


def test_changes_arrive_at_once_or_not_at_all(volumes: Space) -> None:
    volumes.ready("payload", "sub-path")
    volumes.patch("ConfigMap", "settings", {"data": {"live": "after", "one": None, "three": "3"}})
    volumes.patch("Pod", "payload", {"metadata": {"annotations": {SYNC: "1"}}})
    holds(lambda: volumes.sh("payload", "cat /map/live") == "after", "the new text is there", 90)
    assert volumes.sh("payload", "ls /map").split() == ["live", "three", "two"]
    assert volumes.sh("sub-path", "cat /etc/one") == "1"


def test_sub_path(volumes: Space) -> None:
    volumes.ready("sub-path")
    volumes.sh("sub-path", "echo mine > /part/x")
    assert volumes.sh("sub-path", "cat /whole/of/sub-path/x") == "mine"
    assert "Read-only file system" in volumes.sh("sub-path", "touch /readonly/x", check=False)


def test_projected(volumes: Space) -> None:
    volumes.ready("projected")
    assert volumes.sh("projected", "ls /all").split() == ["token", "two", "word"]
    assert volumes.sh("projected", "cat /all/two /all/word") == "2sesame"
    assert volumes.sh(
        "projected", "cat /down/about/name; echo; cat /down/memory; echo; cat /down/labels"
    ).splitlines() == [
        "projected",
        "32",
        'app="projected"',
    ]
    volumes.patch("Pod", "projected", {"metadata": {"labels": {"new": "label"}}})
    holds(lambda: 'new="label"' in volumes.sh("projected", "cat /down/labels"), "the new label is there", 90)


def test_the_service_account_speaks_to_the_api(volumes: Space) -> None:
    volumes.ready("projected")
    where = "/var/run/secrets/kubernetes.io/serviceaccount"
    assert volumes.sh("projected", f"ls {where}; cat {where}/namespace").split() == [
        "ca.crt",
        "namespace",
        "token",
        "volumes",
    ]
    token = volumes.sh("projected", f"cat {where}/token")
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    status = volumes.api("POST", "apis/authentication.k8s.io/v1/tokenreviews", review)["status"]
    assert status["authenticated"] is True
    assert status["user"]["username"] == "system:serviceaccount:volumes:default"
    assert status["user"]["extra"]["authentication.kubernetes.io/pod-name"] == ["projected"]
    context = ssl.create_default_context(cadata=volumes.sh("projected", f"cat {where}/ca.crt"))
    connection = http.client.HTTPSConnection("10.96.0.1", 443, context=context, timeout=10)
    connection.request("GET", "/api/v1/namespaces/volumes/secrets", headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    assert answer.status == 403
    who = 'User "system:serviceaccount:volumes:default" cannot list resource "secrets" in API group ""'
    assert who in json.loads(answer.read())["message"]
    connection.close()
    assert volumes.sh("projected", "echo | nc -w 5 kubernetes.default 443; echo $?") == "0"


def test_fs_group(volumes: Space) -> None:
    volumes.ready("grouped")
    assert volumes.sh("grouped", "stat -c '%g %a' /disk") == "4000 2777"
    assert volumes.sh("grouped", "touch /disk/x; stat -c '%u %g' /disk/x") == "1000 4000"
    assert volumes.sh("grouped", "cat /secret/word; stat -Lc ' %g %a' /secret/word") == "sesame 4000 440"
