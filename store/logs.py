"""How every process of the service logs: one JSON object on a line, to standard error."""

import sys

import structlog


def configure_logs() -> None:
    """Log time, level and traces; traces name no local values."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
