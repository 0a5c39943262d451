"""Warnings with which new objects are accepted, in upstream's words."""

from typing import Any

import pytest

from skiff.api.resources.builtin import by_kind

from .objects import build, mistakes


@pytest.mark.parametrize(
    ("kind", "body", "warnings"),
    [
        pytest.param(
            "v1/Pod",
            {
                "spec": {
                    "containers": [
                        {"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}
                    ]
                }
            },
            ['spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply'],
            id="a variable twice",
        ),
        pytest.param(
            "v1/Pod",
            {"spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}] * 2}]}},
            ["spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]"],
            id="a port twice",
        ),
        pytest.param(
            "v1/Pod",
            {"spec": {"containers": [{"name": "c", "image": "i"}], "nodeSelector": {"beta.kubernetes.io/os": "linux"}}},
            ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'],
            id="a label of nodes that is gone",
        ),
        pytest.param(
            "v1/Pod",
            {
                "spec": {
                    "containers": [
                        {
                            "name": "c",
                            "image": "i",
                            "resources": {"requests": {"memory": "100m"}, "limits": {"memory": "100m"}},
                        }
                    ]
                }
            },
            [
                'spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer',
                'spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, must be an integer',
            ],
            id="half a byte of memory",
        ),
        pytest.param(
            "v1/Pod",
            {"spec": {"containers": [{"name": "c", "image": "i"}], "imagePullSecrets": [{}]}},
            ['spec.imagePullSecrets[0].name: invalid empty name ""'],
            id="a pull secret without name",
        ),
        pytest.param(
            "v1/Pod",
            {
                "spec": {
                    "containers": [{"name": "c", "image": "i"}],
                    "volumes": [{"name": "v", "gitRepo": {"repository": "r"}}],
                }
            },
            ["spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+"],
            id="a volume of the past",
        ),
        pytest.param(
            "v1/Pod",
            {
                "metadata": {"annotations": {"seccomp.security.alpha.kubernetes.io/pod": "runtime/default"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
            [
                'metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the "seccompProfile" field instead'
            ],
            id="a token's annotation of the past",
        ),
        pytest.param(
            "v1/Service",
            {"spec": {"ports": [{"port": 80}], "externalIPs": ["10.0.0.1", "fd00:0:0::1"]}},
            [
                'spec.externalIPs[1]: IPv6 address "fd00:0:0::1" should be in RFC 5952 canonical format ("fd00::1")',
                "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
            ],
            id="an address nobody has",
        ),
        pytest.param(
            "v1/Service",
            {"spec": {"clusterIP": "None", "sessionAffinity": "ClientIP", "ports": [{"port": 80}]}},
            ["spec.SessionAffinity is ignored for headless services"],
            id="session affinity without address",
        ),
        pytest.param(
            "v1/PersistentVolume",
            {
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "capacity": {"storage": "1Gi"},
                    "hostPath": {"path": "/x"},
                    "persistentVolumeReclaimPolicy": "Recycle",
                }
            },
            [
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning."
            ],
            id="reclaimed by recycling",
        ),
        pytest.param(
            "v1/PersistentVolume",
            {
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "capacity": {"storage": "1Gi"},
                    "glusterfs": {"endpoints": "e", "path": "p"},
                }
            },
            ["spec.glusterfs: deprecated in v1.25, non-functional in v1.26+"],
            id="a volume of the past",
        ),
        pytest.param(
            "v1/PersistentVolumeClaim",
            {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1500m"}}}},
            ['spec.resources.requests[storage]: fractional byte value "1500m" is invalid, must be an integer'],
            id="part of a byte",
        ),
        pytest.param(
            "v1/Node",
            {"spec": {"externalID": "x"}},
            ["spec.externalID: this field is deprecated, and is unused by Kubernetes"],
            id="an identifier of the past",
        ),
        pytest.param(
            "apps/v1/Deployment",
            {
                "spec": {
                    "selector": {"matchLabels": {"a": "b"}},
                    "template": {
                        "metadata": {"labels": {"a": "b"}},
                        "spec": {
                            "containers": [
                                {
                                    "name": "c",
                                    "image": "i",
                                    "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
                                }
                            ]
                        },
                    },
                }
            },
            [
                'spec.template.spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply'
            ],
            id="a variable twice in a template",
        ),
        pytest.param(
            "batch/v1/CronJob",
            {
                "spec": {
                    "schedule": "@every 1h",
                    "jobTemplate": {
                        "spec": {
                            "template": {
                                "spec": {
                                    "containers": [{"name": "c", "image": "i"}],
                                    "restartPolicy": "Never",
                                    "terminationGracePeriodSeconds": -5,
                                }
                            }
                        }
                    },
                }
            },
            [
                "spec.jobTemplate.spec.template.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
            ],
            id="a zone in the schedule",
        ),
        pytest.param(
            "networking.k8s.io/v1/Ingress",
            {
                "metadata": {"annotations": {"kubernetes.io/ingress.class": "c"}},
                "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}},
            },
            ["annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"],
            id="a class by annotation",
        ),
        pytest.param(
            "storage.k8s.io/v1/StorageClass",
            {
                "provisioner": "a.b/c",
                "allowedTopologies": [
                    {"matchLabelExpressions": [{"key": "failure-domain.beta.kubernetes.io/zone", "values": ["z"]}]}
                ],
            },
            [
                'allowedTopologies[0].matchLabelExpressions[0].key: deprecated since v1.17; use "topology.kubernetes.io/zone" instead'
            ],
            id="a label of zones that is gone",
        ),
        pytest.param(
            "v1/ServiceAccount",
            {"metadata": {"annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}},
            [
                "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
            ],
            id="secrets to be mounted",
        ),
    ],
)
def test_a_new_object_is_warned_of(kind: str, body: Any, warnings: list[str]) -> None:
    obj = build(kind, body)
    record = by_kind[obj["apiVersion"], obj["kind"]]
    assert mistakes(obj) == []
    assert record.warn is not None
    assert sorted(record.warn(obj, None)) == sorted(warnings)
