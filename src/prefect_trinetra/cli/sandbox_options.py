"""The flags of `sandbox`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from cyclopts import Group, Parameter

from prefect_trinetra.cli.options import parse_pairs, repeatable
from prefect_trinetra.errors import ConfigurationError

__all__ = ["SandboxOptions", "parse_rates"]

SERVER: Final = Group("Where it listens", sort_key=1)
PROVIDER: Final = Group("What kind of provider it plays", sort_key=2)
FAULTS: Final = Group("What goes wrong", sort_key=3)


@Parameter(name="*")
@dataclass(frozen=True)
class SandboxOptions:
    """A sandbox as asked for on the command line. Times are in seconds, money in credits."""

    port: Annotated[int, Parameter(group=SERVER)] = 8765
    """Port to listen at; 0 takes a free one."""
    host: Annotated[str, Parameter(group=SERVER)] = "127.0.0.1"
    """Address to listen at; others than this machine's own can be reached from outside."""
    api_key: Annotated[str, Parameter(group=SERVER)] = "sandbox-key"
    """The key it accepts."""
    job_seconds: Annotated[float, Parameter(group=PROVIDER)] = 2.0
    """Median time of a job."""
    pictures: Annotated[Literal["drawn", "stamped"], Parameter(group=PROVIDER)] = "drawn"
    """drawn: each picture by itself; stamped: cheap ones for load tests."""
    pixels: Annotated[int, Parameter(group=PROVIDER)] = 1024
    """Long edge of the pictures."""
    balance: Annotated[float | None, Parameter(group=PROVIDER)] = None
    """Credits of the account; once they are used up it answers 402."""
    requests_per_second: Annotated[float | None, Parameter(group=PROVIDER)] = None
    """Orders it takes a second; above that it answers 429."""
    webhook_url: Annotated[str | None, Parameter(group=PROVIDER)] = None
    """Where it POSTs each job that ended."""
    seed: Annotated[int, Parameter(group=PROVIDER)] = 0
    """What all chance derives from."""
    fault: Annotated[tuple[str, ...], repeatable(FAULTS)] = ()
    """NAME=RATE, such as lost_answer=0.05 or failed_jobs=0.1. Repeatable."""

    def settings(self) -> dict[str, Any]:
        """The options of SandboxConfig. Raises ConfigurationError."""
        return {
            "api_keys": (self.api_key,),
            "job_seconds": self.job_seconds,
            "pictures": self.pictures,
            "pixels": self.pixels,
            "balance": self.balance,
            "requests_per_second": self.requests_per_second,
            "webhook_url": self.webhook_url,
            "seed": self.seed,
            "faults": parse_rates(self.fault),
        }


def parse_rates(written: Iterable[str]) -> dict[str, float]:
    """Fault rates by name. Raises ConfigurationError for what is no number."""
    rates = {}
    for name, value in parse_pairs(written, "--fault", "lost_answer=0.05").items():
        try:
            rates[name.replace("-", "_")] = float(value)
        except ValueError as error:
            raise ConfigurationError(f"--fault {name}={value}: give a rate from 0 to 1") from error
    return rates
