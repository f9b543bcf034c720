"""Structured logs on standard error, and the last gate that keeps people out of them.

Two kinds of records arrive: our events, with fields, and the free text of libraries. Fields whose
names promise a secret or a person are refused whatever they hold; texts are searched for what
looks like a token; an exception is told by its types and places, never by its message, since
messages quote input.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import traceback
from collections.abc import Callable, MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

REFUSED: Final = "[refused]"
_MAX_TEXT: Final = 500  # characters of one field

_FORBIDDEN: Final = re.compile(
    r"(^|_)(token|jwt|secret|password|authorization|cookie|join_request|credential|key|address|addr"
    r"|ip|host|identity|name|metadata|attributes|ufrag|pwd|sdp|candidate|url|query|body|payload)$",
    re.IGNORECASE,
)
# May be logged as a sid; a room's or a person's own name may not.
_SIDS: Final = {"room": "RM_", "participant": "PA_", "track": "TR_"}

_SECRETS_IN_TEXT: Final = re.compile(
    r"(?:access_token|join_request)=[^&\s\"']*|Bearer\s+\S+|eyJ[\w-]{4,}\.[\w-]*\.?[\w-]*",
    re.IGNORECASE,
)
_PLACES_IN_TEXT: Final = re.compile(
    r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b(?:[0-9a-f]{1,4}:){2,}[0-9a-f:.]*|\?[^\s\"']+", re.IGNORECASE
)
# Libraries that tell what they carry: uvicorn's sans-IO engine prints the whole query at INFO.
_QUIET: Final = ("uvicorn.error", "websockets", "aiortc", "aioice", "asyncio")


def configure(form: Literal["json", "console"], level: str, stream: TextIO | None = None) -> None:
    """Route every logger of the process through our gate; call once, before anything logs."""
    stream = stream if stream is not None else sys.stderr
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        guard,
    ]
    render: Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_foreign, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for ours in ("signaling", "sfu"):
        logging.getLogger(ours).setLevel(level.upper())
    for loud in _QUIET:
        logging.getLogger(loud).setLevel(logging.WARNING)
    structlog.configure(
        # Our own events need nothing of `logging`, which takes twice as long
        processors=[*shared, render],
        logger_factory=structlog.WriteLoggerFactory(stream),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )


def logger(module: str) -> FilteringBoundLogger:
    """The logger of one of our modules; events are words with underscores, data are fields."""
    bound: FilteringBoundLogger = structlog.get_logger(module)
    return bound


def recorder(module: str) -> Callable[..., None]:
    """What writes an event and its fields, for adapters that may not know this module."""
    bound = logger(module)

    def record(event: str, **fields: Any) -> None:
        bound.info(event, **fields)

    return record


def guard(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """The gate: refuses fields, scrubs texts, reduces exceptions to types and places."""
    for name in [name for name in event if name not in ("event", "level", "timestamp")]:
        if name == "exc_info":
            told = _told(event.pop(name))
            if told:
                event["exception"] = told
        elif not name.startswith("_"):
            event[name] = _safe(name, event[name])
    event["event"] = scrub(str(event.get("event", "")))
    event.pop("stack_info", None)
    return event


def scrub(text: str) -> str:
    """The text without what looks like a token."""
    return _SECRETS_IN_TEXT.sub(REFUSED, text)[:_MAX_TEXT]


def watch_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Report what nobody awaited; asyncio's own report prints transports with their addresses."""
    log = logger(__name__)

    def report(_loop: asyncio.AbstractEventLoop, context: MutableMapping[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, OSError):  # a peer that vanished, or spoke no TLS: not our event
            log.debug("connection_error", exc_info=error)
        else:
            log.error("unhandled_error", what=str(context.get("message")), exc_info=error)

    loop.set_exception_handler(report)


def _foreign(_logger: Any, _method: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    event["text"] = _PLACES_IN_TEXT.sub(REFUSED, str(event["event"]))
    event["event"] = "library"
    event["library"] = record.name
    return event


def _safe(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return REFUSED if _FORBIDDEN.search(name) and value is not None else value
    if name in _SIDS:
        return value if str(value).startswith(_SIDS[name]) else REFUSED
    return REFUSED if _FORBIDDEN.search(name) else scrub(str(value))


def _told(exc_info: Any) -> str:
    """An exception chain as types and places, innermost last."""
    if exc_info is True:
        exc_info = sys.exc_info()
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    parts: list[str] = []
    while isinstance(error, BaseException) and len(parts) < 8:
        places = [
            f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)[-5:]
        ]
        parts.append(f"{type(error).__name__} at {' > '.join(places) or 'nowhere'}")
        error = error.__cause__ or error.__context__
    return " from ".join(parts)
