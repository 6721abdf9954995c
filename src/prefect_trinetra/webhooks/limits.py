"""What the receiver puts up with."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Bounds of the receiver, each far above what an honest sender needs."""

    body_bytes: int = 64 * 1024
    """Four outputs with signed URLs are under 10 kB."""
    head_seconds: float = 10.0
    """From the connection, or the first byte of a later request, to the end of its headers."""
    body_seconds: float = 10.0
    """The provider sends from a machine room; who needs longer holds a place for nothing."""
    connections: int = 512
    """More at once than any provider opens; each holds at most a body."""
    waiting: int = 2_000
    """Notices in the queue: ten seconds' worth of what Prefect's server takes."""
