"""The Common Expression Language as Kubernetes 1.36 uses it. Pure: no input, no output, no clock.

`env.Env(variables, objects).compile(text)` gives a Program: text → tokens (lexer) → tree (parser, macros) → types (checker)
→ closures (planner), with costs counted as upstream counts them (costs at run time, estimate before). `library` holds the
functions. `declarations` makes types of OpenAPI schemas, and `validations` evaluates x-kubernetes-validations.

Admission policies build on the same: `library.authorizer` is the interface they supply an authorizer through; mutating
ones add `library.strings.JSON_PATCH_ROWS` and the objects of `messages` that expressions can make.
"""
