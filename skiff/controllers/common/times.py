"""Timestamps as they stand in objects (RFC 3339, UTC, whole seconds or microseconds) and seconds since the epoch."""

from datetime import UTC, datetime

from skiff import env


def timestamp(epoch: float | None = None) -> str:
    """`2026-01-02T03:04:05Z` for metav1.Time fields; now by default. Fractions are cut off, as upstream does."""
    moment = datetime.fromtimestamp(int(env.epoch() if epoch is None else epoch), UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(epoch: float | None = None) -> str:
    """`2026-01-02T03:04:05.678901Z` for metav1.MicroTime fields; now by default."""
    moment = datetime.fromtimestamp(env.epoch() if epoch is None else epoch, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds(text: str | None) -> float | None:
    """Epoch seconds of a timestamp; None for a missing or unreadable one."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
