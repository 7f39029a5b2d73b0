"""Structured logs, one JSON object on a line."""

import structlog


def configure_logs() -> None:
    """Log JSON with time, level and traces that name no local values."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    )
