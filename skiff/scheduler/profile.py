"""Which plugins run at which moment, and in which order: read off the plugins once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from skiff.scheduler import framework as fw


@dataclass(frozen=True, slots=True)
class Enabled:
    """A plugin and the weight of its score."""

    plugin: Any
    weight: int = 1


@dataclass(slots=True)
class Profile:
    """The plugins of one scheduler name, by moment."""

    name: str
    plugins: Sequence[Enabled]
    queue_sort: fw.QueueSort = field(init=False)
    pre_enqueue: list[Any] = field(default_factory=list)
    pre_filter: list[Any] = field(default_factory=list)
    node_filter: list[Any] = field(default_factory=list)
    filter: list[Any] = field(default_factory=list)
    simulates: list[Any] = field(default_factory=list)
    post_filter: list[Any] = field(default_factory=list)
    node_score: list[tuple[Any, int]] = field(default_factory=list)
    score: list[tuple[Any, int]] = field(default_factory=list)
    reserve: list[Any] = field(default_factory=list)
    permit: list[Any] = field(default_factory=list)
    pre_bind: list[Any] = field(default_factory=list)
    bind: list[Any] = field(default_factory=list)
    post_bind: list[Any] = field(default_factory=list)
    interests: dict[str, list[fw.Interest]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for enabled in self.plugins:
            self._enlist(enabled.plugin, enabled.weight)

    def _enlist(self, plugin: Any, weight: int) -> None:
        for method, moment in self._moments():
            if hasattr(plugin, method):
                moment.append(plugin)
        if hasattr(plugin, "sort_key"):
            self.queue_sort = plugin
        if hasattr(plugin, "score_node"):
            self.node_score.append((plugin, weight))
        if hasattr(plugin, "score"):
            self.score.append((plugin, weight))
        if hasattr(plugin, "events"):
            self.interests[plugin.name] = plugin.events()

    def _moments(self) -> list[tuple[str, list[Any]]]:
        return [
            ("pre_enqueue", self.pre_enqueue),
            ("pre_filter", self.pre_filter),
            ("filter_node", self.node_filter),
            ("filter", self.filter),
            ("add_pod", self.simulates),
            ("post_filter", self.post_filter),
            ("reserve", self.reserve),
            ("permit", self.permit),
            ("pre_bind", self.pre_bind),
            ("bind", self.bind),
            ("post_bind", self.post_bind),
        ]
