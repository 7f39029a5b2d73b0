"""How every process of the service logs: one JSON object on a line, to standard error.

Loggers of libraries (uvicorn, celery, alembic), warnings and uncaught exceptions go the same way. What is bound by
`structlog.contextvars` (the request, or the shard in training) is in every line. Secrets are masked in all of them.
"""

import datetime as dt
import json
import logging
import re
import sys
import threading
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import Any, TextIO
from urllib.parse import unquote, urlsplit

import structlog
from structlog.typing import Processor

_URL = re.compile(r"(://[^\s/:@'\"]*:)[^\s'\"]*@")
_TOKEN = re.compile(r"hk_[A-Za-z0-9_.-]{4,}")
_HEADER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_FIELD = re.compile(r"(?i)\b(password|requirepass|sslpassword)(\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^\s,;]+)")
_SUSPECT = re.compile(r"(?i)://|hk_|bearer|basic|passw|requirepass")
"""What stands in every text that the patterns above find something in: few texts have it, and each line has a dozen."""
_MASK = "***"
_LEAST_LENGTH = 6
"""A password shorter than this is masked in URLs only: its letters stand in too many words."""
_QUIET = ("celery", "kombu", "amqp", "redis", "botocore", "s3fs", "fsspec", "asyncio", "matplotlib", "PIL", "httpx2")
"""Loggers of libraries that tell of every message or connection below WARNING."""
_uncaught = structlog.get_logger("uncaught")


def configure_logs(level: str = "INFO", *, secrets: tuple[str, ...] = ()) -> None:
    """Log from `level` on. `secrets` are URLs whose passwords are masked wherever they stand, in a URL or not."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = _StandardError()
    handler.setFormatter(
        _Formatter(
            masking := Masking(secrets),
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                masking,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [known for known in root.handlers if not isinstance(known, _StandardError)] + [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(level if level in {"DEBUG", "ERROR"} else "WARNING")
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "celery", "celery.task", "alembic"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], name != "uvicorn.access"  # which tells whole queries; api.access_log has a line of each
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


class Masking:
    """Hides passwords in URLs and connection strings, API keys and tokens, and passwords that are known, in all that a line holds."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        """Know the passwords of these URLs."""
        passwords = {urlsplit(url).password or "" for url in secrets}
        known = {form for password in passwords for form in (password, unquote(password)) if len(form) >= _LEAST_LENGTH}
        self._known = re.compile("|".join(re.escape(one) for one in sorted(known, key=len, reverse=True))) if known else None

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Mask a line; structlog's signature."""
        return {name: self._masked(value) for name, value in event.items()}

    def text(self, text: str) -> str:
        """Mask a text."""
        if _SUSPECT.search(text) is not None:
            text = _URL.sub(rf"\1{_MASK}@", text)
            text = _FIELD.sub(rf"\1\2{_MASK}", text)
            text = _HEADER.sub(rf"\1 {_MASK}", text)
            text = _TOKEN.sub(f"hk_{_MASK}", text)
        return text if self._known is None else self._known.sub(_MASK, text)

    def _masked(self, value: object) -> object:
        if type(value) is str:
            found = self.text(value)
            return found if found.isascii() else found.encode("utf-8", "backslashreplace").decode()
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, Mapping):
            return {self.text(str(name)): self._masked(item) for name, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._masked(item) for item in value]
        return self.text(value if isinstance(value, str) else repr(value)).encode("utf-8", "backslashreplace").decode()


class Lines:
    """Lines about one event that is told of all the time: as structlog's own, in a fifth of the time.

    What is bound is in them, secrets are masked, and handlers of others are given the same record.
    """

    def __init__(self, name: str, event: str) -> None:
        """Name the logger and the event."""
        self._logger = logging.getLogger(name)
        self._same = {"event": event, "logger": name, "level": "info"}

    def write(self, **facts: Any) -> None:
        """Write a line of level INFO."""
        if self._logger.isEnabledFor(logging.INFO):
            at = dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
            line = {**structlog.contextvars.get_contextvars(), **facts, **self._same, "timestamp": at}
            record = logging.LogRecord(self._logger.name, logging.INFO, __file__, 0, line, (), None)
            record.is_line = True
            self._logger.handle(record)


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Writes lines down as they are, and all else through structlog's processors."""

    def __init__(self, masking: Masking, **options: Any) -> None:
        super().__init__(**options)
        self._masking = masking
        self._encode = json.JSONEncoder(ensure_ascii=False).encode

    def format(self, record: logging.LogRecord) -> str:
        if getattr(record, "is_line", False) and isinstance(record.msg, dict):
            return self._encode(self._masking(None, "", record.msg))
        return super().format(record)


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is at the moment."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _stream: TextIO) -> None:
        """Keep to standard error."""


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    _uncaught.critical("uncaught_exception", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is None or issubclass(found.exc_type, SystemExit):
        return
    thread = None if found.thread is None else found.thread.name
    _uncaught.critical("uncaught_exception", thread=thread, exc_info=(found.exc_type, found.exc_value, found.exc_traceback))
