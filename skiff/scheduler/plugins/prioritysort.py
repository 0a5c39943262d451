"""Which pod comes first: the higher priority, then the longer wait."""

from skiff.scheduler.podinfo import PodInfo


class PrioritySort:
    name = "PrioritySort"

    def sort_key(self, pod: PodInfo, queued_at: float) -> tuple[int, float]:
        return -pod.priority, queued_at
