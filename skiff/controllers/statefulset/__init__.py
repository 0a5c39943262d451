"""StatefulSets: pods with names and claims of their own, in order. `plan` decides the next step (pure), `identity` makes
the pods and claims, `controller` acts."""
