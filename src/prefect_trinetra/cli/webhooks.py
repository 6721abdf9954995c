"""`webhooks`: the receiver of the provider's webhooks, in the foreground."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import App, Group, Parameter
from rich.text import Text

from prefect_trinetra.cli.exits import Exit
from prefect_trinetra.cli.options import Debug
from prefect_trinetra.cli.terminal import Terminal
from prefect_trinetra.errors import ConfigurationError

__all__ = ["webhooks"]

SERVER: Final = Group("Where it listens", sort_key=1)

webhooks = App(
    name="webhooks",
    help="Receive the provider's webhooks, so that runs need not poll.",
    help_format="plaintext",
)


@webhooks.command
def serve(
    *,
    host: Annotated[str, Parameter(group=SERVER)] = "127.0.0.1",
    port: Annotated[int, Parameter(group=SERVER)] = 4300,
    debug: Debug = False,
) -> Exit:
    """Turn each webhook into a Prefect event, until Ctrl-C.

    The address to give to the provider ends in /webhooks/TOKEN, where TOKEN is what TRINETRA_WEBHOOK_TOKEN holds.

    Parameters
    ----------
    host
        Address to listen at; a proxy that speaks https belongs before one that can be reached from outside.
    port
        Port to listen at; 0 takes a free one.
    """
    from prefect_trinetra.webhooks.receiver import webhook_app
    from prefect_trinetra.webhooks.server import WebhookServer

    app = webhook_app()
    api_url = _prefect_server()
    terminal = Terminal()
    try:
        WebhookServer(app, host, port, lambda url: _welcome(url, api_url, terminal)).run()
    except SystemExit as end:
        raise ConfigurationError(
            f"nothing can listen at {host}:{port}: another program may; choose another --port"
        ) from end
    except KeyboardInterrupt:
        # uvicorn has shut down by then, and passes the signal on.
        return Exit.OK
    return Exit.OK


def _prefect_server() -> str:
    """Where the events go. Raises ConfigurationError where that would be a server which ends with this process."""
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if not url:
        raise ConfigurationError(
            "there is no Prefect server to send events to: set PREFECT_API_URL, such as http://127.0.0.1:4200/api"
        )
    return url


def _welcome(url: str, api_url: str, terminal: Terminal) -> None:
    terminal.show(
        Text.assemble("webhooks are received at ", (f"{url}/webhooks/TOKEN", "bold")),
        f"and become events on {api_url}     Ctrl-C ends it.",
    )
