"""The node agent: makes the pods that are bound to one node run, and says how they are.

Decisions (plan, status, admission, environment, node object) are pure functions. Containers are reached through
`runtime.Runtime`, the machine through `host.Host`; each has a real and a simulated implementation of equal contract.
The parts meet in `kubelet.Kubelet.run()`.
"""
