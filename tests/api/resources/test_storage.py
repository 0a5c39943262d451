"""Mistakes in storage.k8s.io and the volumes of PersistentVolumes. One mistake at a time, with upstream's path and words."""

from typing import Any

import pytest

from .objects import build, mistakes

CSIDRIVER = "storage.k8s.io/v1/CSIDriver"
CSINODE = "storage.k8s.io/v1/CSINode"
CSISTORAGECAPACITY = "storage.k8s.io/v1/CSIStorageCapacity"
VOLUMEATTACHMENT = "storage.k8s.io/v1/VolumeAttachment"
VOLUMEATTRIBUTESCLASS = "storage.k8s.io/v1/VolumeAttributesClass"
STORAGECLASS = "storage.k8s.io/v1/StorageClass"
PERSISTENTVOLUME = "v1/PersistentVolume"

SOUND: dict[str, Any] = {
    CSIDRIVER: {"spec": {"attachRequired": True, "fsGroupPolicy": "File"}},
    CSINODE: {"spec": {"drivers": [{"name": "d.e", "nodeID": "n"}]}},
    CSISTORAGECAPACITY: {"storageClassName": "s", "capacity": "1Gi"},
    VOLUMEATTACHMENT: {"spec": {"attacher": "a.b", "nodeName": "n", "source": {"persistentVolumeName": "p"}}},
    VOLUMEATTRIBUTESCLASS: {"driverName": "a.b", "parameters": {"k": "v"}},
    STORAGECLASS: {"provisioner": "a.b/c"},
    PERSISTENTVOLUME: {
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "csi": {"driver": "a.b", "volumeHandle": "h"},
        }
    },
}


@pytest.mark.parametrize("kind", list(SOUND))
def test_a_sound_object_has_no_mistakes(kind: str) -> None:
    assert mistakes(build(kind, SOUND[kind])) == []


@pytest.mark.parametrize(
    ("kind", "path", "value", "messages"),
    [
        pytest.param(
            CSIDRIVER,
            "spec.fsGroupPolicy",
            "Never",
            [
                'spec.fsGroupPolicy: Unsupported value: "Never": supported values: "File", "None", "ReadWriteOnceWithFSType"'
            ],
            id="group policy of a driver",
        ),
        pytest.param(
            CSIDRIVER,
            "spec.volumeLifecycleModes",
            ["Forever"],
            ['spec.volumeLifecycleModes: Unsupported value: "Forever": supported values: "Persistent", "Ephemeral"'],
            id="life cycle mode",
        ),
        pytest.param(
            CSIDRIVER,
            "spec.tokenRequests",
            [{"audience": "a"}] * 2,
            ['spec.tokenRequests[1].audience: Duplicate value: "a"'],
            id="two token requests of one audience",
        ),
        pytest.param(
            CSIDRIVER,
            "spec.tokenRequests",
            [{"audience": "a", "expirationSeconds": 10}],
            [
                "spec.tokenRequests[0].expirationSeconds: Invalid value: 10: may not specify a duration less than 10 minutes"
            ],
            id="a token of a few seconds",
        ),
        pytest.param(
            CSIDRIVER,
            "spec.tokenRequests",
            [{"audience": "a", "expirationSeconds": 4294967297}],
            [
                "spec.tokenRequests[0].expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds"
            ],
            id="a token of an age",
        ),
        pytest.param(
            CSIDRIVER,
            "spec.nodeAllocatableUpdatePeriodSeconds",
            5,
            ["spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 5: must be greater than or equal to 10 seconds"],
            id="allocatable updates too often",
        ),
        pytest.param(
            CSINODE, "spec.drivers.0.name", "", ["spec.drivers[0].name: Required value"], id="driver without name"
        ),
        pytest.param(
            CSINODE, "spec.drivers.0.nodeID", "", ["spec.drivers[0].nodeID: Required value"], id="driver without node"
        ),
        pytest.param(
            CSINODE,
            "spec.drivers.0.allocatable",
            {"count": -1},
            ["spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0"],
            id="negative count of volumes",
        ),
        pytest.param(
            CSINODE,
            "spec.drivers",
            [{"name": "d.e", "nodeID": "n"}, {"name": "d.e", "nodeID": "m"}],
            ['spec.drivers[1].name: Duplicate value: "d.e"'],
            id="two drivers of one name",
        ),
        pytest.param(
            CSINODE,
            "spec.drivers.0.topologyKeys",
            ["k", "k"],
            ['spec.drivers[0]: Duplicate value: "k"'],
            id="topology key twice",
        ),
        pytest.param(
            CSINODE,
            "spec.drivers.0.topologyKeys",
            [""],
            [
                "spec.drivers[0]: Required value",
                'spec.drivers[0]: Invalid value: "": name part must be non-empty',
                "spec.drivers[0]: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ],
            id="topology key empty",
        ),
        pytest.param(
            CSISTORAGECAPACITY,
            "storageClassName",
            "",
            [
                "storageClassName: Invalid value: \"\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            ],
            id="capacity without class",
        ),
        pytest.param(
            CSISTORAGECAPACITY,
            "capacity",
            "-1",
            ['capacity: Invalid value: "-1": must be greater than or equal to 0'],
            id="negative capacity",
        ),
        pytest.param(
            CSISTORAGECAPACITY,
            "nodeTopology",
            {"matchExpressions": [{"key": "k", "operator": "Near"}]},
            ['nodeTopology.matchExpressions[0].operator: Invalid value: "Near": not a valid selector operator'],
            id="topology with a bad operator",
        ),
        pytest.param(
            VOLUMEATTACHMENT, "spec.attacher", "", ["spec.attacher: Required value"], id="attachment without attacher"
        ),
        pytest.param(
            VOLUMEATTACHMENT,
            "spec.nodeName",
            "",
            [
                "spec.nodeName: Invalid value: \"\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            ],
            id="attachment without node",
        ),
        pytest.param(
            VOLUMEATTACHMENT,
            "spec.source",
            {},
            ["spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName"],
            id="attachment without source",
        ),
        pytest.param(
            VOLUMEATTACHMENT,
            "spec.source.inlineVolumeSpec",
            {
                "csi": {"driver": "a.b", "volumeHandle": "h"},
                "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": "1"},
            },
            ["spec.source: Forbidden: must specify exactly one of inlineVolumeSpec and persistentVolumeName"],
            id="attachment of two sources",
        ),
        pytest.param(
            VOLUMEATTRIBUTESCLASS, "driverName", "", ["driverName: Required value"], id="attributes without driver"
        ),
        pytest.param(
            VOLUMEATTRIBUTESCLASS,
            "parameters",
            {},
            ["parameters: Required value: must contain at least one key/value pair"],
            id="attributes without parameters",
        ),
        pytest.param(
            VOLUMEATTRIBUTESCLASS,
            "parameters",
            {"": "v"},
            ['parameters: Invalid value: "": field can not be empty.'],
            id="attribute without key",
        ),
        pytest.param(
            VOLUMEATTRIBUTESCLASS,
            "parameters",
            {"k": "x", "l": "x" * 262144},
            ["parameters: Too long: may not be more than 262144 bytes"],
            id="attributes too large",
        ),
        pytest.param(STORAGECLASS, "provisioner", "", ["provisioner: Required value"], id="class without provisioner"),
        pytest.param(
            STORAGECLASS,
            "provisioner",
            "a b",
            [
                "provisioner: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
            ],
            id="provisioner with a space",
        ),
        pytest.param(
            STORAGECLASS,
            "parameters",
            {"": "v"},
            ['parameters: Invalid value: "": field can not be empty.'],
            id="parameter without key",
        ),
        pytest.param(
            STORAGECLASS,
            "reclaimPolicy",
            "Hoard",
            ['reclaimPolicy: Unsupported value: "Hoard": supported values: "Delete", "Retain"'],
            id="reclaim policy",
        ),
        pytest.param(
            STORAGECLASS,
            "volumeBindingMode",
            "Eventually",
            [
                'volumeBindingMode: Unsupported value: "Eventually": supported values: "Immediate", "WaitForFirstConsumer"'
            ],
            id="binding mode",
        ),
        pytest.param(
            STORAGECLASS,
            "allowedTopologies",
            [{"matchLabelExpressions": [{"key": "k", "values": ["v"]}]}] * 2,
            ['allowedTopologies[1].matchLabelExpressions: Duplicate value: ""'],
            id="topology twice",
        ),
        pytest.param(
            STORAGECLASS,
            "allowedTopologies",
            [{"matchLabelExpressions": [{"key": "k", "values": []}]}],
            ["allowedTopologies[0].matchLabelExpressions[0].values: Required value"],
            id="topology without values",
        ),
        pytest.param(
            STORAGECLASS,
            "allowedTopologies",
            [{"matchLabelExpressions": [{"key": "k", "values": ["v", "v"]}]}],
            ['allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: "v"'],
            id="topology value twice",
        ),
        pytest.param(
            PERSISTENTVOLUME, "spec.csi.driver", "", ["spec.csi.driver: Required value"], id="csi without driver"
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec.csi.volumeHandle",
            "",
            ["spec.csi.volumeHandle: Required value"],
            id="csi without handle",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec.csi.nodeExpandSecretRef",
            {"namespace": "n"},
            ["spec.csi.nodeExpandSecretRef.name: Required value"],
            id="csi expansion secret without name",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "rbd": {}},
            ["spec.rbd.monitors: Required value", "spec.rbd.image: Required value"],
            id="rbd without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "cephfs": {}},
            ["spec.cephfs.monitors: Required value"],
            id="cephfs without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "iscsi": {}},
            ["spec.iscsi.targetPortal: Required value", "spec.iscsi.iqn: Required value"],
            id="iscsi without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "fc": {}},
            ["spec.fc.targetWWNs: Required value: must specify either targetWWNs or wwids, but not both"],
            id="fc without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "azureDisk": {}},
            [
                "spec.azureDisk.diskName: Required value",
                "spec.azureDisk.diskURI: Required value",
                'spec.azureDisk.diskURI: Unsupported value: "": supported values: "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"',
            ],
            id="azureDisk without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "azureFile": {}},
            ["spec.azureFile.secretName: Required value", "spec.azureFile.shareName: Required value"],
            id="azureFile without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "portworxVolume": {}},
            ["spec.portworxVolume.volumeID: Required value"],
            id="portworxVolume without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "scaleIO": {}},
            [
                "spec.scaleIO.gateway: Required value",
                "spec.scaleIO.system: Required value",
                "spec.scaleIO.volumeName: Required value",
            ],
            id="scaleIO without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageos": {}},
            ["spec.storageos.volumeName: Required value"],
            id="storageos without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "quobyte": {}},
            [
                "spec.quobyte.registry: Required value: must be a host:port pair or multiple pairs separated by commas",
                "spec.quobyte.volume: Required value",
            ],
            id="quobyte without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "flocker": {}},
            ["spec.flocker: Required value: one of datasetName and datasetUUID is required"],
            id="flocker without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "photonPersistentDisk": {}},
            ["spec.photonPersistentDisk.pdID: Required value"],
            id="photonPersistentDisk without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "vsphereVolume": {}},
            ["spec.vsphereVolume.volumePath: Required value"],
            id="vsphereVolume without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "glusterfs": {}},
            ["spec.glusterfs.endpoints: Required value", "spec.glusterfs.path: Required value"],
            id="glusterfs without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "cinder": {}},
            ["spec.cinder.volumeID: Required value"],
            id="cinder without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "gcePersistentDisk": {}},
            ["spec.persistentDisk.pdName: Required value"],
            id="gcePersistentDisk without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "awsElasticBlockStore": {}},
            ["spec.awsElasticBlockStore.volumeID: Required value"],
            id="awsElasticBlockStore without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "flexVolume": {}},
            ["spec.flexVolume.driver: Required value"],
            id="flexVolume without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "local": {}},
            [
                "spec.local.path: Required value",
                "spec.nodeAffinity: Required value: Local volume requires node affinity",
            ],
            id="local without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "nfs": {}},
            [
                "spec.nfs.server: Required value",
                "spec.nfs.path: Required value",
                'spec.nfs.path: Invalid value: "": must be an absolute path',
            ],
            id="nfs without anything",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {
                "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": "1Gi"},
                "iscsi": {"targetPortal": "p", "iqn": "iqn.2001-04.com.x:y", "lun": 256},
            },
            ["spec.iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive"],
            id="iscsi lun",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {
                "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": "1Gi"},
                "iscsi": {"targetPortal": "p", "iqn": "iqn.2001", "lun": 1},
            },
            ['spec.iscsi.iqn: Invalid value: "iqn.2001": must be valid format'],
            id="iscsi name",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {
                "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": "1Gi"},
                "fc": {"targetWWNs": ["w"], "lun": 1, "wwids": ["w"]},
            },
            ['spec.fc.targetWWNs: Invalid value: ["w"]: targetWWNs and wwids can not be specified simultaneously'],
            id="fc with both ways",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "fc": {"targetWWNs": ["w"], "lun": 300}},
            ["spec.fc.lun: Invalid value: 300: must be between 0 and 255, inclusive"],
            id="fc lun",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "nfs": {"server": "s", "path": "p"}},
            ['spec.nfs.path: Invalid value: "p": must be an absolute path'],
            id="nfs path relative",
        ),
        pytest.param(
            PERSISTENTVOLUME,
            "spec",
            {
                "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": "1Gi"},
                "quobyte": {"registry": "r", "volume": "v"},
            },
            [
                'spec.quobyte.registry: Invalid value: "r": must be a host:port pair or multiple pairs separated by commas'
            ],
            id="quobyte registry without port",
        ),
    ],
)
def test_a_mistake_is_named(kind: str, path: str, value: Any, messages: list[str]) -> None:
    assert mistakes(build(kind, SOUND[kind], path, value)) == messages
