"""A manifest that may come later than the run that is to work on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Literal

from prefect.logging import get_run_logger

from prefect_trinetra.inputs import is_there, shown_url
from prefect_trinetra.spec import RunSpec

__all__ = ["MissingManifest", "has_arrived"]

MissingManifest = Literal["fail", "skip", "wait"]

FIRST_LOOK_SECONDS: Final = 1.0
SLOWEST_LOOK_SECONDS: Final = 30.0
# Where the run has no deadline: past a day the next nightly run is due.
WAIT_SECONDS: Final = 86_400.0


def has_arrived(spec: RunSpec, choice: MissingManifest, pause: Callable[[float], None]) -> bool:
    """Whether there is a manifest to plan with; False where the run is to be skipped.

    With `wait` it is looked for until the run's deadline, at most a day. What is still missing then, or with `fail`,
    is left to the plan, which says so. `pause` waits some seconds, and raises what ends the run.
    """
    names = [spec.manifest] if isinstance(spec.manifest, str) else [str(each) for each in spec.manifest]
    if choice == "fail" or not (isinstance(spec.manifest, str) or all(isinstance(each, str) for each in spec.manifest)):
        return True
    give_up = time.monotonic() + (spec.limits.run_deadline_seconds or WAIT_SECONDS)
    look_again = FIRST_LOOK_SECONDS
    while missing := next((name for name in names if not is_there(name, spec.manifest_options)), None):
        if choice == "skip":
            return False
        if time.monotonic() >= give_up:
            break
        if look_again == FIRST_LOOK_SECONDS:
            get_run_logger().info("waiting for the manifest %s, which is not there yet", shown_url(missing))
        pause(min(look_again, max(0.0, give_up - time.monotonic())))
        look_again = min(2 * look_again, SLOWEST_LOOK_SECONDS)
    return True
