"""The controllers: each compares what is with what should be and makes the difference smaller.

One module per controller, a package where one has phases. Each in the same order: constants, plans, pure decisions, the
class (watches, keys, reconcile, actions). They meet only at the API: none imports another, all may use `common`.
"""
