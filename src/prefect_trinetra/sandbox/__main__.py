"""`python -m prefect_trinetra.sandbox`: what tests and benchmarks start as a process of its own."""

from __future__ import annotations

import argparse

from prefect_trinetra.sandbox.config import SandboxConfig
from prefect_trinetra.sandbox.server import serve


def main() -> None:
    """Serve until told to stop; the first line of output says where."""
    parser = argparse.ArgumentParser(prog="python -m prefect_trinetra.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at")
    parser.add_argument("--port", type=int, default=0, help="port to listen at; 0 takes a free one")
    parser.add_argument("--config-json", default="{}", help="options of SandboxConfig as a JSON object")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the process that started it")
    options = parser.parse_args()
    serve(
        SandboxConfig.model_validate_json(options.config_json),
        options.host,
        options.port,
        _announce,
        until_stdin_closes=options.until_stdin_closes,
    )


def _announce(url: str) -> None:
    print(f"sandbox ready at {url}", flush=True)


if __name__ == "__main__":
    main()
