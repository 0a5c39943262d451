"""ReplicationControllers: the elder of ReplicaSets, with a plain map of labels as its selector.

Source: upstream pkg/controller/replication, which adapts the ReplicaSet controller as well.
"""

from skiff.api import selectors
from skiff.api.gvr import REPLICATIONCONTROLLERS
from skiff.api.types import Obj
from skiff.controllers.common.meta import spec
from skiff.controllers.replicaset import ReplicaSetController


class ReplicationControllerController(ReplicaSetController):
    name = "replicationcontroller-controller"
    gvr = REPLICATIONCONTROLLERS
    reports_terminating = False

    def selector(self, owner: Obj) -> selectors.Selector:
        found = spec(owner).get("selector")
        return selectors.from_set(found) if found else selectors.NOTHING
