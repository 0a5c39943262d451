"""The moments of a scheduling cycle, and how a plugin answers at each.

A cycle: queue sort chooses the pod; pre-enqueue may hold it back; prefilter, then filter per node; postfilter when no node
is left; prescore and score over the nodes that are; reserve, permit (in memory); prebind, bind, postbind (with the API, in
a task of its own while the next pod is scheduled). A plugin is any object with a `name` and the methods of the moments
that it cares about; skiff.scheduler.profile finds out which. Answers are data: None is success, else a Status.

Two kinds of filter and score exist, because one of them can be remembered: a *node* filter or score depends on nothing
but the pod's shape (podinfo.PodInfo.shape) and the node, and is asked again only when the node has changed; the others
see the cycle's state, into which prefilter or prescore put what they know of the placement of other pods.
Source: k8s.io/kube-scheduler/framework (interface.go); codes and reasons are upstream's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, Flag, auto
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from skiff.scheduler.nodeinfo import NodeInfo
    from skiff.scheduler.podinfo import PodInfo

MAX_SCORE = 100

State = dict[str, Any]
"""What one cycle knows, by plugin name: what the plugin's prefilter or prescore put there. A value that changes when
pods are added or removed for trial (see SimulatesPods) has a `clone()`."""


class Code(Enum):
    """UNSCHEDULABLE: evicting pods may help; UNRESOLVABLE: not even that. WAIT (permit only): ask again later."""

    UNSCHEDULABLE = "Unschedulable"
    UNRESOLVABLE = "UnschedulableAndUnresolvable"
    ERROR = "Error"
    WAIT = "Wait"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a plugin refuses: the sentence that users know, and what it rests on (for whoever asks why)."""

    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Status:
    """A refusal or an error of one plugin. Success is None."""

    code: Code
    plugin: str
    reasons: tuple[Reason, ...]

    @property
    def message(self) -> str:
        return ", ".join(r.text for r in self.reasons)

    @property
    def rejected(self) -> bool:
        """The pod does not fit now; not an error of ours or the world."""
        return self.code in (Code.UNSCHEDULABLE, Code.UNRESOLVABLE)


def unschedulable(plugin: str, *texts: str) -> Status:
    return Status(Code.UNSCHEDULABLE, plugin, tuple(map(Reason, texts)))


def unresolvable(plugin: str, *texts: str) -> Status:
    return Status(Code.UNRESOLVABLE, plugin, tuple(map(Reason, texts)))


class Skip(Enum):
    """A prefilter's or prescore's answer: this plugin has nothing to say about this pod."""

    SKIP = "skip"


SKIP = Skip.SKIP


@dataclass(frozen=True, slots=True)
class OnlyNodes:
    """A prefilter's answer: no other node can fit."""

    names: frozenset[str]


PreFilterAnswer = None | Skip | OnlyNodes | Status


class Plugin(Protocol):
    """Constructed with what it uses, by keyword; keeps no state of a cycle in itself."""

    name: str


class QueueSort(Protocol):
    def sort_key(self, pod: "PodInfo", queued_at: float) -> tuple[Any, ...]:
        """Smaller comes first."""
        ...


class PreEnqueue(Protocol):
    def pre_enqueue(self, pod: "PodInfo") -> Status | None:
        """A refusal keeps the pod out of the queue until one of the plugin's events."""
        ...


class PreFilter(Protocol):
    def pre_filter(self, state: State, pod: "PodInfo") -> PreFilterAnswer:
        """Once per cycle. SKIP: `filter` is not called. A Status refuses all nodes."""
        ...


class NodeFilter(Protocol):
    def prepare_filter(self, pod: "PodInfo") -> Any:
        """What `filter_node` needs to know of the pod, or SKIP; kept per shape."""
        ...

    def filter_node(self, prepared: Any, node: "NodeInfo") -> Status | None: ...


class Filter(Protocol):
    def filter(self, state: State, pod: "PodInfo", node: "NodeInfo") -> Status | None: ...


class SimulatesPods(Protocol):
    """For plugins whose prefilter state counts other pods: what if this pod was, or was not, on that node?"""

    def add_pod(self, state: State, pod: "PodInfo", other: "PodInfo", node: "NodeInfo") -> None: ...

    def remove_pod(self, state: State, pod: "PodInfo", other: "PodInfo", node: "NodeInfo") -> None: ...


class PostFilter(Protocol):
    def post_filter(
        self, cycle: Any, state: State, pod: "PodInfo", refusals: Mapping[str, Status]
    ) -> "PostFilterResult":
        """When no node fits. `cycle` is the running skiff.scheduler.algorithm.Cycle; `refusals` of the nodes that were
        looked at, by name."""
        ...


@dataclass(frozen=True, slots=True)
class PostFilterResult:
    """nominated: the node on which room is being made; "": none, and an older nomination is void; None: leave it.
    message: what to add to the refusal. victims: the pods to evict."""

    nominated: str | None = None
    message: str = ""
    victims: "Sequence[PodInfo]" = ()


class Scale(Enum):
    """How raw scores become 0 to 100 over the nodes that fit."""

    NONE = "they are"
    UP = "the largest raw score is best"
    DOWN = "the smallest raw score is best"


class NodeScore(Protocol):
    """A score from the pod's shape and the node alone."""

    scale: Scale

    def prepare_score(self, pod: "PodInfo") -> Any:
        """What `score_node` needs to know of the pod, or SKIP; kept per shape."""
        ...

    def score_node(self, prepared: Any, node: "NodeInfo") -> int: ...


class Score(Protocol):
    def pre_score(self, state: State, pod: "PodInfo", nodes: "Sequence[NodeInfo]") -> Skip | None:
        """Once per cycle, with the nodes that fit."""
        ...

    def score(self, state: State, pod: "PodInfo", nodes: "Sequence[NodeInfo]") -> list[int]:
        """0 to 100 for each of the nodes, in their order."""
        ...


class Reserve(Protocol):
    def reserve(self, state: State, pod: "PodInfo", node: str) -> Status | None: ...

    def unreserve(self, state: State, pod: "PodInfo", node: str) -> None:
        """May be called without or after a failed `reserve`, and twice."""
        ...


class Permit(Protocol):
    async def permit(self, state: State, pod: "PodInfo", node: str) -> Status | None:
        """At the start of the binding cycle; waits for as long as the plugin wants the pod to wait."""
        ...


class PreBind(Protocol):
    async def pre_bind(self, state: State, pod: "PodInfo", node: str) -> Status | None: ...


class Bind(Protocol):
    async def bind(self, state: State, pod: "PodInfo", node: str) -> None:
        """Raises StatusError or ConnectionError when it failed."""
        ...


class PostBind(Protocol):
    def post_bind(self, state: State, pod: "PodInfo", node: str) -> None: ...


class Action(Flag):
    """What happened to an object, as far as scheduling cares."""

    ADD = auto()
    DELETE = auto()
    NODE_ALLOCATABLE = auto()
    NODE_LABEL = auto()
    NODE_TAINT = auto()
    NODE_CONDITION = auto()
    POD_LABEL = auto()
    POD_SCALE_DOWN = auto()
    POD_TOLERATION = auto()
    POD_GATES = auto()
    UPDATE = auto()


Hint = Callable[["PodInfo", Any, Any], bool]
"""(waiting pod, old, new) → whether the change may let the pod through. Old or new is None for additions and deletions;
both are PodInfo for pods, NodeInfo-like records for nodes, else objects."""


@dataclass(frozen=True, slots=True)
class Interest:
    """A change that could make a plugin's refusal obsolete. No hint: any such change."""

    kind: str
    actions: Action
    hint: Hint | None = None


class Interested(Protocol):
    def events(self) -> list[Interest]:
        """A plugin that can refuse says what to look at again for; one without this is retried on any change."""
        ...


@dataclass(frozen=True, slots=True)
class ClusterEvent:
    """One change of the cluster. kind: Pod (an assigned one), Node, PersistentVolumeClaim, ..."""

    kind: str
    action: Action
    old: Any = None
    new: Any = None


def scale_scores(scores: list[int], *, reverse: bool = False) -> list[int]:
    """To 0..100 by the largest one; reverse: the largest becomes 0."""
    largest = max(scores, default=0)
    if largest == 0:
        return [MAX_SCORE] * len(scores) if reverse else scores
    if reverse:
        return [MAX_SCORE - MAX_SCORE * s // largest for s in scores]
    return [MAX_SCORE * s // largest for s in scores]
