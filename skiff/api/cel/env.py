"""Where expressions are compiled: which variables, object types and functions there are.

env = Env({"self": types.INT})
program = env.compile("self > 3")     # raises CompileError, ProgramError
program.eval({"self": 4})             # True; raises CelError, CostExceeded
"""

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from skiff.api.cel import costs, parser, stdlib
from skiff.api.cel.access import Field
from skiff.api.cel.ast import Expr, Ident, children
from skiff.api.cel.checker import Checker
from skiff.api.cel.errors import CelError, CompileError, CostExceeded
from skiff.api.cel.functions import Functions, Row
from skiff.api.cel.library import amounts, authorizer, formats, lists, net, optionals, patterns, strings
from skiff.api.cel.literals import check_literals
from skiff.api.cel.loops import Run
from skiff.api.cel.planner import FIRST_SLOT, MISSING, Planner
from skiff.api.cel.types import Type

Objects = Mapping[str, Mapping[str, Field]]
"""The name of an object type → its fields, by their names in expressions."""

LIBRARIES: Sequence[Sequence[Row]] = (
    stdlib.ROWS, optionals.ROWS, strings.ROWS, lists.ROWS, patterns.ROWS, net.ROWS, amounts.ROWS, formats.ROWS,
    authorizer.ROWS,
)  # fmt: skip


@cache
def kubernetes_functions() -> Functions:
    """What every expression of Kubernetes 1.36 may call."""
    return Functions(*LIBRARIES)


@dataclass(frozen=True, slots=True)
class Result:
    """What an evaluation came to. error: None, a CelError or a CostExceeded."""

    value: Any
    cost: int
    error: CelError | CostExceeded | None = None


class Program:
    """An expression that can be evaluated, any number of times. root: the checked tree."""

    __slots__ = ("_blank", "_cost", "_run", "_slots", "root", "source")

    def __init__(self, source: str, root: Expr, run: Run, cost: int, slots: Mapping[str, int], size: int) -> None:
        self.source = source
        self.root = root
        self._run = run
        self._cost = cost
        self._slots = slots
        self._blank: list[Any] = [MISSING] * size

    @property
    def type(self) -> Type:
        """What it evaluates to."""
        return self.root.type

    def uses(self, name: str) -> bool:
        """Whether a variable occurs in it."""
        return _occurs(self.root, name)

    def evaluate(self, variables: Mapping[str, Any], cost_limit: int = costs.PER_CALL) -> Result:
        """Never raises for what the expression or the data does."""
        frame: list[Any] = self._blank.copy()
        frame[0], frame[1] = self._cost, cost_limit
        for name, value in variables.items():
            slot = self._slots.get(name)
            if slot is not None:
                frame[slot] = value
        try:
            value = self._run(frame)
        except (CelError, CostExceeded) as e:
            return Result(None, frame[0], e)
        except (TypeError, AttributeError):
            return Result(None, frame[0], CelError("no such overload"))
        except RecursionError:
            return Result(None, frame[0], CelError("expression recursion limit exceeded"))
        if frame[0] > cost_limit:
            return Result(None, frame[0], CostExceeded(frame[0]))
        return Result(value, frame[0])

    def eval(self, variables: Mapping[str, Any], cost_limit: int = costs.PER_CALL) -> Any:
        """The value. Raises CelError, or CostExceeded."""
        result = self.evaluate(variables, cost_limit)
        if result.error is not None:
            raise result.error
        return result.value


def _occurs(e: Expr, name: str) -> bool:
    return (isinstance(e, Ident) and e.name == name) or any(_occurs(c, name) for c in children(e))


class Env:
    """variables: name → type. objects: the object types that these types name. functions: what can be called. messages:
    object types that expressions can make."""

    def __init__(
        self,
        variables: Mapping[str, Type],
        objects: Objects | None = None,
        functions: Functions | None = None,
        messages: Objects | None = None,
    ) -> None:
        self.variables = dict(variables)
        self.messages: Objects = messages or {}
        self.objects: Objects = _joined(objects or {}, self.messages)
        self.functions = functions or kubernetes_functions()
        self._slots = {name: FIRST_SLOT + i for i, name in enumerate(self.variables)}

    def check(self, text: str) -> Expr:
        """The tree with its types. Raises CompileError with all mistakes."""
        root = parser.parse(text)
        checker = Checker(self.functions, self.variables, self.objects, self.messages)
        issues = checker.check(root) or check_literals(root)
        if issues:
            raise CompileError(text, issues)
        return root

    def compile(self, text: str) -> Program:
        """Raises CompileError with all mistakes, or ProgramError for constants that cannot be evaluated."""
        with parser.deep_stack():
            root = self.check(text)
            planner = Planner(self.functions, self._slots, self.objects)
            plan = planner.plan(root)
        return Program(text, root, plan.run, plan.cost, self._slots, planner.size)


def _joined(one: Objects, other: Objects) -> Objects:
    """ChainMap never writes to what it reads from."""
    return ChainMap(one, other) if other else one  # type: ignore[arg-type]
