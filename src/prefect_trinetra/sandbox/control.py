"""The sandbox's own endpoints, under /sandbox: the bill, the faults, the account, and a page that explains them."""

from __future__ import annotations

from typing import Final

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, Router

from prefect_trinetra.sandbox.faults import Faults
from prefect_trinetra.sandbox.place import Place

__all__ = ["Control"]

INDEX: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>prefect-trinetra sandbox</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:44em;margin:4em auto;padding:0 1em;color:#223}}
code{{background:#eef;padding:.1em .3em;border-radius:3px}}td{{padding:.2em 1em .2em 0;vertical-align:top}}</style>
<h1>The sandbox</h1>
<p>A local stand-in for the provider. It sells nothing and draws everything itself.</p>
<table>
<tr><td><code>POST /v1/image/gpt-image-2</code><td>submit a job (<code>X-API-Key</code>)
<tr><td><code>GET /v1/jobs/{{id}}</code><td>look at a job (<code>X-API-Key</code>)
<tr><td><code>GET <a href="/sandbox/bill">/sandbox/bill</a></code><td>what was really bought
<tr><td><code>GET, PUT <a href="/sandbox/faults">/sandbox/faults</a></code><td>what goes wrong, and how often (0 to 1)
<tr><td><code>PUT /sandbox/pace</code><td>the median time of jobs to come: <code>{{"job_seconds": 5}}</code>
<tr><td><code>PUT /sandbox/limit</code><td>submits a second, null for all: <code>{{"requests_per_second": 5}}</code>
<tr><td><code>POST /sandbox/balance</code><td>add credits: <code>{{"credits": 100}}</code>
<tr><td><code>POST /sandbox/reset</code><td>forget all jobs, begin anew
</table>
<p>So far: {jobs} jobs, {images} images, {credits:g} credits.</p></html>
"""


class Control:
    """Answers everything that is not the provider's."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.router = Router(
            [
                Route("/", self.index),
                Route("/sandbox/health", self.health),
                Route("/sandbox/bill", self.bill),
                Route("/sandbox/faults", self.faults, methods=["GET"]),
                Route("/sandbox/faults", self.set_faults, methods=["PUT"]),
                Route("/sandbox/pace", self.pace, methods=["PUT"]),
                Route("/sandbox/limit", self.limit, methods=["PUT"]),
                Route("/sandbox/balance", self.balance, methods=["POST"]),
                Route("/sandbox/reset", self.reset, methods=["POST"]),
            ]
        )

    async def index(self, _: Request) -> Response:
        """A page for whoever opens the address in a browser."""
        bill = self._place.counter.book.bill()
        jobs, images, credits_ = bill["jobs_accepted"], bill["images"], bill["credits"]
        return HTMLResponse(INDEX.format(jobs=jobs, images=images, credits=credits_))

    async def health(self, _: Request) -> Response:
        """Whether it listens."""
        return _json({"status": "ok"})

    async def bill(self, _: Request) -> Response:
        """What was really bought."""
        return _json(self._place.counter.book.bill())

    async def faults(self, _: Request) -> Response:
        """The rates as they are."""
        return _json(self._place.counter.dice.faults.model_dump())

    async def set_faults(self, request: Request) -> Response:
        """Change the rates that are named; the others stay."""
        dice = self._place.counter.dice
        try:
            changes = orjson.loads(await request.body())
            dice.faults = Faults.model_validate({**dice.faults.model_dump(), **changes})
        except (ValidationError, orjson.JSONDecodeError, TypeError) as error:
            return _refusal(f"The body must be an object of fault rates from 0 to 1: {error}")
        return _json(dice.faults.model_dump())

    async def pace(self, request: Request) -> Response:
        """Let the jobs to come take another median time."""
        try:
            job_seconds = float(orjson.loads(await request.body())["job_seconds"])
            self._place.counter.book.set_pace(job_seconds)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return _refusal('The body must be {"job_seconds": <0 or more>}.')
        return _json({"job_seconds": job_seconds})

    async def limit(self, request: Request) -> Response:
        """Admit another number of submits a second."""
        try:
            told = orjson.loads(await request.body())["requests_per_second"]
            per_second = None if told is None else float(told)
            self._place.counter.api.set_limit(per_second)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return _refusal('The body must be {"requests_per_second": <above 0, or null>}.')
        return _json({"requests_per_second": per_second})

    async def balance(self, request: Request) -> Response:
        """Add credits to the account."""
        try:
            credits_ = float(orjson.loads(await request.body())["credits"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return _refusal('The body must be {"credits": <number>}.')
        return _json({"balance": self._place.counter.book.top_up(credits_)})

    async def reset(self, _: Request) -> Response:
        """Forget all jobs; faults and balance are those of the start."""
        self._place.reset()
        return _json({"status": "ok"})


def _json(document: object) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")


def _refusal(message: str) -> Response:
    content = orjson.dumps({"error": {"code": "invalid_request", "message": message}})
    return Response(content, 400, media_type="application/json")
