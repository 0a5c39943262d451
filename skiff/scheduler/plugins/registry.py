"""The default profile: every plugin, in the order in which it is asked, with its weight (pkg/scheduler/apis/config/v1)."""

from skiff.client.informer import Informers
from skiff.client.rest import Client
from skiff.scheduler.cache import Cache
from skiff.scheduler.plugins.defaultbinder import DefaultBinder
from skiff.scheduler.plugins.defaultpreemption import DefaultPreemption
from skiff.scheduler.plugins.defaultselector import OwnerSelectors
from skiff.scheduler.plugins.imagelocality import ImageLocality
from skiff.scheduler.plugins.interpodaffinity import InterPodAffinity
from skiff.scheduler.plugins.nodeaffinity import NodeAffinity
from skiff.scheduler.plugins.nodename import NodeName
from skiff.scheduler.plugins.nodeports import NodePorts
from skiff.scheduler.plugins.noderesources import BalancedAllocation, Fit
from skiff.scheduler.plugins.nodeunschedulable import NodeUnschedulable
from skiff.scheduler.plugins.podtopologyspread import PodTopologySpread
from skiff.scheduler.plugins.prioritysort import PrioritySort
from skiff.scheduler.plugins.schedulinggates import SchedulingGates
from skiff.scheduler.plugins.tainttoleration import TaintToleration
from skiff.scheduler.plugins.volumebinding import VolumeBinding
from skiff.scheduler.podinfo import DEFAULT_SCHEDULER
from skiff.scheduler.profile import Enabled, Profile


def default_profile(client: Client, informers: Informers, cache: Cache, name: str = DEFAULT_SCHEDULER) -> Profile:
    plugins = [
        Enabled(SchedulingGates()),
        Enabled(PrioritySort()),
        Enabled(NodeUnschedulable()),
        Enabled(NodeName()),
        Enabled(TaintToleration(), 3),
        Enabled(NodeAffinity(), 2),
        Enabled(NodePorts()),
        Enabled(Fit(), 1),
        Enabled(VolumeBinding(client=client, informers=informers)),
        Enabled(PodTopologySpread(cache=cache, owners=OwnerSelectors(informers)), 2),
        Enabled(InterPodAffinity(cache=cache, informers=informers), 2),
        Enabled(DefaultPreemption(informers=informers)),
        Enabled(BalancedAllocation(), 1),
        Enabled(ImageLocality(cache=cache), 1),
        Enabled(DefaultBinder(client=client)),
    ]
    return Profile(name, plugins)
