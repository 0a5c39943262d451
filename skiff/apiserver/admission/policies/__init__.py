"""Admission policies: what may be written, and what is changed on the way, said in CEL by objects of the cluster.

A policy says which requests it is about and what it does; bindings say where it counts and with which parameters. Both
kinds share how they are kept (configuration), matched (invocations) and evaluated (evaluation, conditions, params);
`validating` and `mutating` are the plugins. Nothing of CEL is loaded before there is a policy that has a binding. Source:
apiserver pkg/admission/plugin/policy.
"""
