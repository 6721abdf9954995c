"""The page itself: one HTML file that holds its style and its program, and allows no others."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, StrictUndefined

from prefect_trinetra.gallery.parts import script_json

__all__ = ["page"]

PACKAGE: Final = "prefect_trinetra.gallery"
STYLES: Final = ("page.css", "wall.css", "viewer.css")
# In the order in which they need each other.
SCRIPTS: Final = ("parts.js", "items.js", "address.js", "wall.js", "controls.js", "record.js", "viewer.js", "page.js")


def page(header: dict[str, Any]) -> bytes:
    """The whole page. Of the dataset's words only the name is in its markup, escaped."""
    style, script = _joined(STYLES), _joined(SCRIPTS)
    html: str = _template().render(
        name=header["name"],
        policy=_policy(style, script),
        style=style,
        script=script,
        header=script_json(header).decode(),
    )
    return html.encode()


def _policy(style: str, script: str) -> str:
    """A Content Security Policy: no code but ours, no connection anywhere; pictures from the dataset's own host.

    'strict-dynamic' lets our script load the parts, from a folder too, where no page has an origin.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'strict-dynamic' {_digest(script)}",
            f"style-src {_digest(style)}",
            "img-src 'self' data: file:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types gallery-parts",
        ]
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _joined(names: tuple[str, ...]) -> str:
    return "\n".join(files(PACKAGE).joinpath(name).read_text(encoding="utf-8") for name in names)


@cache
def _template() -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(files(PACKAGE).joinpath("page.html").read_text(encoding="utf-8"))
