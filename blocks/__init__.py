"""What is configured once and used by name: an account of the provider, and where datasets live.

Importing this package makes Prefect know both block types; its `prefect.collections` entry point names it.
"""

from prefect_trinetra.blocks.credentials import TrinetraCredentials
from prefect_trinetra.blocks.storage import DatasetStorage

__all__ = ["DatasetStorage", "TrinetraCredentials"]
