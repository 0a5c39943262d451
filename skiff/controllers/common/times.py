"""Now as text, and text as seconds: what controllers write into objects and read from them."""

from skiff import env
from skiff.api import times


def timestamp(epoch: float | None = None) -> str:
    """For metav1.Time fields; now by default."""
    return times.format_time(env.epoch() if epoch is None else epoch)


def micro_timestamp(epoch: float | None = None) -> str:
    """For metav1.MicroTime fields; now by default."""
    return times.format_micro(env.epoch() if epoch is None else epoch)


def seconds(text: str | None) -> float | None:
    """Epoch seconds of a timestamp; None for a missing or unreadable one."""
    if not text:
        return None
    try:
        return times.epoch(text)
    except times.TimeError:
        return None
