"""Texts as Go writes them."""

import json


def quoted(text: str) -> str:
    """%q of a string."""
    return json.dumps(text, ensure_ascii=False)
