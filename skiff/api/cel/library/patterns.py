"""find and findAll. Source: apiserver pkg/cel/library/regex.go."""

from typing import Any

from skiff.api.cel import regex
from skiff.api.cel.errors import CelError
from skiff.api.cel.functions import Row


def _legal(run: Any) -> Any:
    def call(*args: Any) -> Any:
        try:
            return run(*args)
        except CelError as e:
            raise CelError(f"Illegal regex: {e}") from e

    return call


ROWS: list[Row] = [
    (".find", "string_find_string", "string, string -> string", _legal(regex.find)),
    (".findAll", "string_find_all_string", "string, string -> list(string)", _legal(regex.find_all)),
    (".findAll", "string_find_all_string_int", "string, string, int -> list(string)", _legal(regex.find_all)),
]
