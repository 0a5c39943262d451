"""What upstream v1.36 itself does not give back as it was written, and why. (kinds, path): regular expressions.

DROPPED:   sent and not stored. CHANGED: stored with another value. DEFAULTED: stored without having been sent.
OMITTED:   fields of a schema that no populated object has, beyond those that are DROPPED.
"""

ANY = ".*"
TEMPLATED = r"apps/v1 (DaemonSet|Deployment|ReplicaSet|StatefulSet)|batch/v1 (Job|CronJob)|v1 (PodTemplate|ReplicationController)"
PODS = rf"v1 Pod|{TEMPLATED}"
CLUSTER_SCOPED = (
    "v1 (Namespace|Node|PersistentVolume)|apiregistration.k8s.io/v1 .*|certificates.k8s.io/v1 .*|"
    "networking.k8s.io/v1 (IngressClass|IPAddress|ServiceCIDR)|rbac.authorization.k8s.io/v1 Cluster.*|"
    "storage.k8s.io/v1 (CSIDriver|CSINode|StorageClass|Volume.*)|admissionregistration.k8s.io/v1 .*|"
    "apiextensions.k8s.io/v1 .*|scheduling.k8s.io/v1 .*|node.k8s.io/v1 .*|"
    "resource.k8s.io/v1 (DeviceClass|ResourceSlice)|flowcontrol.apiserver.k8s.io/v1 .*"
)

DROPPED: list[tuple[str, str]] = [
    # Feature gates that are off: ContainerStopSignals, GenericWorkload, PodCertificateRequest, ClusterTrustBundleProjection.
    (PODS, r".*\.lifecycle\.stopSignal"),
    (PODS, r".*spec\.schedulingGroup"),
    (PODS, r".*\.projected\.sources\[\]\.(podCertificate|clusterTrustBundle)"),
    # Gates MaxUnavailableStatefulSet, VolumeLimitScaling, CoordinatedLeaderElection, DRANodeAllocatableResources.
    ("apps/v1 StatefulSet", r"spec\.updateStrategy\.rollingUpdate\.maxUnavailable"),
    ("storage.k8s.io/v1 CSIDriver", r"spec\.preventPodSchedulingIfMissing"),
    ("coordination.k8s.io/v1 Lease", r"spec\.(strategy|preferredHolder)"),
    ("resource.k8s.io/v1 ResourceSlice", r"spec\.devices\[\]\.nodeAllocatableResourceMappings"),
    # Removed: dynamic kubelet configuration; only the name of a service account's secret counts; topology of v1beta1.
    ("v1 Node", r"spec\.configSource"),
    ("v1 ServiceAccount", r"secrets\[\]\.(apiVersion|fieldPath|kind|namespace|resourceVersion|uid)"),
    ("discovery.k8s.io/v1 EndpointSlice", r"endpoints\[\]\.deprecatedTopology"),
    # The pod is bound to a node, and then it is nominated for none.
    ("v1 Pod", r"status\.nominatedNodeName"),
    # Written as stringData, read as data.
    ("v1 Secret", r"stringData"),
]

CHANGED: list[tuple[str, str]] = [
    # The old name of serviceAccountName follows it; claim templates always have the kind of a claim.
    (PODS, r".*spec\.serviceAccount"),
    ("apps/v1 StatefulSet", r"spec\.volumeClaimTemplates\[\]\.kind"),
    # What the server found out itself.
    ("apiextensions.k8s.io/v1 .*", r"status\.(acceptedNames\..*|conditions)"),
    # Every namespace has the finalizer `kubernetes` besides its own.
    ("v1 Namespace", r"spec\.finalizers"),
]

DEFAULTED: list[tuple[str, str]] = [
    ("v1 Namespace", r"metadata\.labels\.kubernetes\.io/metadata\.name"),
    ("v1 Secret", r"data\.s"),
    ("v1 Pod", r"spec\.ephemeralContainers\[\]\.resources"),
    # Kept by the server: how often the template changed; what v2 has and v1 has not.
    ("apps/v1 DaemonSet", r"metadata\.annotations\.deprecated\.daemonset\.template\.generation"),
    (
        "autoscaling/v1 HorizontalPodAutoscaler",
        r"metadata\.annotations\.autoscaling\.alpha\.kubernetes\.io/current-metrics",
    ),
    # Times and structures by value, written when they are empty too.
    ("events.k8s.io/v1 Event", r"deprecated(FirstTimestamp|LastTimestamp|Source)"),
]

OMITTED: list[tuple[str, str]] = [
    # Set by the server, or ignored by it.
    (ANY, r"metadata\.(deletionGracePeriodSeconds|deletionTimestamp|generateName|generation|selfLink)"),
    (ANY, r"metadata\.managedFields\[\]\.subresource"),
    (CLUSTER_SCOPED, r"metadata\.namespace"),
    # Validation forbids them where they stand.
    (PODS, r".*\.(c|initC)ontainers\[\]\.readinessProbe\.terminationGracePeriodSeconds"),
    (
        PODS,
        r".*\.ephemeralContainers\[\]\.(lifecycle|.*Probe|ports|resources|resizePolicy|restartPolicy.*|volumeMounts\[\]\.subPath.*)(\..*|\[.*)?",
    ),
    (PODS, r".*spec\.resources\.claims\[\]\..*"),
    (TEMPLATED, r".*spec\.ephemeralContainers\[\].*"),
    ("apps/v1 .*|v1 ReplicationController", r"spec\.template\.spec\.activeDeadlineSeconds"),
    (
        "v1 PersistentVolumeClaim|apps/v1 StatefulSet",
        r".*spec\.dataSourceRef\.namespace",
    ),  # gate CrossNamespaceVolumeDataSource
    (PODS, r".*\.ephemeral\.volumeClaimTemplate\.spec\.dataSourceRef\.namespace"),
    (PODS, r".*\.ephemeral\.volumeClaimTemplate\.metadata\.(?!labels|annotations).*"),
    ("resource.k8s.io/v1 ResourceClaimTemplate", r"spec\.metadata\.(?!labels|annotations).*"),
    ("batch/v1 Job", r"spec\.selector\.matchExpressions\[\].*"),  # the selector is generated
    ("batch/v1 CronJob", r"spec\.jobTemplate\.spec\.selector\..*"),
    ("batch/v1 Job", r"status\.completionTime"),  # goes with a condition Complete, which excludes other fields
    ("rbac.authorization.k8s.io/v1 Role", r"rules\[\]\.nonResourceURLs\[\]"),
    (
        "storage.k8s.io/v1 VolumeAttachment",
        r"spec\.source\.inlineVolumeSpec\.(?!accessModes|csi|mountOptions|persistentVol|volumeMode).*",
    ),
    (
        "apiextensions.k8s.io/v1 .*",
        r".*openAPIV3Schema\.(\$ref|\$schema|id|additionalItems|dependencies|definitions|patternProperties|uniqueItems).*",
    ),
    ("events.k8s.io/v1 Event", r"deprecated(Count|Source\.component|Source\.host|FirstTimestamp|LastTimestamp)"),
    # Zero, which is not written: true is forbidden; services are of the core group.
    ("apiextensions.k8s.io/v1 .*", r"spec\.preserveUnknownFields"),
    ("networking.k8s.io/v1 IPAddress", r"spec\.parentRef\.group"),
    # Excluded by what else is set: a bundle and to skip verification; administrators' access needs a labelled namespace.
    ("apiregistration.k8s.io/v1 .*", r"spec\.caBundle"),
    ("resource.k8s.io/v1 ResourceClaim.*", r".*\.adminAccess"),
    (
        "resource.k8s.io/v1 ResourceSlice",
        r"spec\.devices\[\]\.attributes\{\}\.(bools|ints|strings|versions)\[\]",
    ),  # gate DRAListTypeAttributes
]
