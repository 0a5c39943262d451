"""Who mutated a request and wants to see it again when others change it afterwards (reinvocationPolicy IfNeeded)."""

from collections.abc import Hashable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Memory:
    """Of one request, for one plugin, from one round of the chain to the other. asked: who has mutated since the last
    change and wants to hear of the next; again: who has to be asked again; output: the object when the plugin was through."""

    asked: set[Hashable] = field(default_factory=set)
    again: set[Hashable] = field(default_factory=set)
    output: bytes = b""

    def changed(self) -> None:
        """All who mutated before want to see what it is now."""
        self.again |= self.asked
        self.asked = set()
