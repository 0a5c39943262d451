"""A cluster inside the test process, on a virtual clock: memory store, API server, controllers, scheduler, simulated nodes.

`run(coroutine, seed=...)` runs anything on the virtual loop; `Cluster` assembles the components; `plugin` offers both to
pytest; `builders` make objects. One seed fixes every interleaving, identifier and time of a run.
"""

from skiff.testing.loop import Deadlock, LeakedTasks, Livelock, VirtualEnvironment, VirtualLoop, run

__all__ = ["Deadlock", "LeakedTasks", "Livelock", "VirtualEnvironment", "VirtualLoop", "run"]
