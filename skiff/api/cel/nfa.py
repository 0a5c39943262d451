"""Matching in time proportional to pattern times text, for patterns on which Python's engine might run away.

The parsed pattern becomes a small program whose threads advance together, character by character, in order of preference
(a Pike machine), so that what is found is what RE2 finds: the first alternative that leads to a match. Source: Russ Cox,
"Regular Expression Matching: the Virtual Machine Approach".
"""

import re._constants as sre  # type: ignore[import-not-found]
from collections.abc import Callable
from typing import Any

Accepts = Callable[[str], bool]

_MOST_INSTRUCTIONS = 20_000


class TooLarge(Exception):
    """A pattern whose counted repetitions unfold to too much."""


class Program:
    """ops: ("char", test), ("split", first, second), ("jump", to), ("at", code), ("match",)."""

    def __init__(self, tree: Any) -> None:
        self.ops: list[list[Any]] = []
        self._flags = tree.state.flags
        self._sequence(tree)
        self._emit("match")

    # --- compiling

    def _emit(self, *op: Any) -> int:
        if len(self.ops) >= _MOST_INSTRUCTIONS:
            raise TooLarge
        self.ops.append(list(op))
        return len(self.ops) - 1

    def _sequence(self, tree: Any) -> None:
        for op, argument in tree:
            self._node(op, argument)

    def _node(self, op: Any, argument: Any) -> None:
        if op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            self._repeat(*argument, greedy=op is sre.MAX_REPEAT)
        elif op is sre.SUBPATTERN:
            _, add, remove, inner = argument
            before = self._flags
            self._flags = (before | add) & ~remove
            self._sequence(inner)
            self._flags = before
        elif op is sre.BRANCH:
            self._branch(argument[1])
        elif op is sre.AT:
            self._emit("at", (argument, bool(self._flags & sre.SRE_FLAG_MULTILINE)))
        else:
            self._emit("char", self._test(op, argument))

    def _branch(self, branches: list[Any]) -> None:
        ends = []
        for branch in branches[:-1]:
            split = self._emit("split", len(self.ops) + 1, 0)
            self._sequence(branch)
            ends.append(self._emit("jump", 0))
            self.ops[split][2] = len(self.ops)
        self._sequence(branches[-1])
        for end in ends:
            self.ops[end][1] = len(self.ops)

    def _repeat(self, low: int, high: Any, inner: Any, *, greedy: bool) -> None:
        for _ in range(low):
            self._sequence(inner)
        if high is sre.MAXREPEAT:
            split = self._split(greedy)
            self._sequence(inner)
            self._emit("jump", split)
            self._leave(split, greedy)
            return
        splits = []
        for _ in range(high - low):
            splits.append(self._split(greedy))
            self._sequence(inner)
        for split in splits:
            self._leave(split, greedy)

    def _split(self, greedy: bool) -> int:
        into = len(self.ops) + 1
        return self._emit("split", into, 0) if greedy else self._emit("split", 0, into)

    def _leave(self, split: int, greedy: bool) -> None:
        self.ops[split][2 if greedy else 1] = len(self.ops)

    def _test(self, op: Any, argument: Any) -> Accepts:
        fold = bool(self._flags & sre.SRE_FLAG_IGNORECASE)
        if op is sre.ANY:
            return (lambda c: True) if self._flags & sre.SRE_FLAG_DOTALL else lambda c: c != "\n"
        if op is sre.IN:
            test = _set(argument)
        elif op is sre.NOT_LITERAL:
            test = _set([(sre.NEGATE, None), (sre.LITERAL, argument)])
        else:
            test = _set([(op, argument)])
        return (lambda c: test(c) or test(c.lower()) or test(c.upper())) if fold else test

    # --- running

    def search(self, text: str, at: int = 0) -> tuple[int, int] | None:
        """The place of the leftmost match from `at` on."""
        found: tuple[int, int] | None = None
        threads: dict[int, int] = {}
        for here in range(at, len(text) + 1):
            if found is None:
                self._add(threads, 0, here, text, here)
            elif not threads:
                break
            following: dict[int, int] = {}
            for place, start in threads.items():
                op = self.ops[place]
                if op[0] == "match":
                    found = (start, here)
                    break
                if here < len(text) and op[1](text[here]):
                    self._add(following, place + 1, start, text, here + 1)
            threads = following
        return found

    def _add(self, threads: dict[int, int], place: int, start: int, text: str, here: int) -> None:
        """A thread, and those that it leads to without a character, in order of preference."""
        waiting, seen = [place], set[int]()
        while waiting:
            place = waiting.pop()
            if place in threads or place in seen:
                continue
            op = self.ops[place]
            if op[0] == "jump":
                seen.add(place)
                waiting.append(op[1])
            elif op[0] == "split":
                seen.add(place)
                waiting += [op[2], op[1]]
            elif op[0] == "at":
                seen.add(place)
                if _holds(op[1][0], op[1][1], text, here):
                    waiting.append(place + 1)
            else:
                threads[place] = start


def _set(parts: list[Any]) -> Accepts:
    negated = bool(parts) and parts[0][0] is sre.NEGATE
    tests = [_member(op, argument) for op, argument in parts if op is not sre.NEGATE]
    known: dict[str, bool] = {}

    def accepts(c: str) -> bool:
        result = known.get(c)
        if result is None:
            result = any(test(c) for test in tests) is not negated
            if len(known) < 512:
                known[c] = result
        return result

    return accepts


def _member(op: Any, argument: Any) -> Accepts:
    if op is sre.LITERAL:
        return lambda c: ord(c) == argument
    if op is sre.RANGE:
        return lambda c: argument[0] <= ord(c) <= argument[1]
    assert op is sre.CATEGORY, op
    name = str(argument).removeprefix("CATEGORY_")
    test = _CATEGORIES[name.removeprefix("NOT_")]
    return (lambda c: not test(c)) if name.startswith("NOT_") else test


def _is_word(c: str) -> bool:
    return c == "_" or (c.isascii() and c.isalnum())


_CATEGORIES: dict[str, Accepts] = {
    "DIGIT": lambda c: "0" <= c <= "9",
    "SPACE": lambda c: c in "\t\n\v\f\r ",
    "WORD": _is_word,
}


def _holds(code: Any, multiline: bool, text: str, here: int) -> bool:
    if code is sre.AT_BEGINNING_STRING:
        return here == 0
    if code is sre.AT_END_STRING:
        return here == len(text)
    if code is sre.AT_BEGINNING:
        return here == 0 or (multiline and text[here - 1] == "\n")
    if code is sre.AT_END:
        return here == len(text) or (multiline and text[here] == "\n")
    before = here > 0 and _is_word(text[here - 1])
    after = here < len(text) and _is_word(text[here])
    return (before != after) is (code is sre.AT_BOUNDARY)
