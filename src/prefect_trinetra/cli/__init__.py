"""The command line: what people type first."""

from prefect_trinetra.cli.app import main

__all__ = ["main"]
