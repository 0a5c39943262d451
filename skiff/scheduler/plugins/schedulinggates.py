"""Pods with scheduling gates stay out of the queue until their gates are removed."""

from skiff.scheduler import framework as fw
from skiff.scheduler.podinfo import PodInfo


class SchedulingGates:
    name = "SchedulingGates"

    def pre_enqueue(self, pod: PodInfo) -> fw.Status | None:
        if not pod.gates:
            return None
        return fw.unresolvable(self.name, f"waiting for scheduling gates: [{' '.join(pod.gates)}]")

    def events(self) -> list[fw.Interest]:
        return [fw.Interest("Pod", fw.Action.POD_GATES, _own)]


def _own(pod: PodInfo, old: PodInfo | None, new: PodInfo | None) -> bool:
    return new is not None and new.uid == pod.uid
