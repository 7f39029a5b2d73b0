"""How each process of the service is started, after `python`."""


def api(host: str, port: int) -> list[str]:
    """Serve HTTP."""
    return [
        "-m",
        "uvicorn",
        "--factory",
        "api.app:create_app",
        "--host",
        host,
        "--port",
        str(port),
        "--http",
        "h11",  # strict, and bounds heads: see decision 5
        "--no-access-log",
        "--timeout-graceful-shutdown",
        "2",
    ]


def worker(queues: str = "holdout.cpu") -> list[str]:
    """Train what is in these queues."""
    return [
        "-m",
        "celery",
        "-A",
        "worker.app",
        "--quiet",
        "worker",
        "--loglevel",
        "WARNING",
        "--queues",
        queues,
        "--without-gossip",
        "--without-mingle",
    ]


def sweeper() -> list[str]:
    """Send what was not sent, free what dead workers held."""
    return ["-m", "worker.sweeper"]
