"""How the command ends: whatever goes wrong that is no bug is a line on stderr, and a pipe whose reader has left ends it quietly."""

import contextlib
import io
import os
import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from cli.remote import ERROR, USAGE, fail
from holdout import HoldoutError

_UNREAD = 141
"""What a shell gives for a process that SIGPIPE ended."""


class Told(TyperGroup):
    """All commands: the one place where exceptions become words."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command line. A letter that the output's encoding lacks is written as its number."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            done = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _leave_quietly()
        except OSError as error:
            fail(f"{error.filename or 'a file'} cannot be read or written", why=error.strerror or str(error))
        except HoldoutError as error:
            fail(str(error))
        except ValueError as error:
            fail(_sentence(error), code=USAGE)
        except Exception as error:
            if not _is_of_the_store(error):
                raise
            fail(str(error), code=ERROR)
        return done


def _leave_quietly() -> NoReturn:
    """End without another attempt to write what nobody reads."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(_UNREAD)


def _sentence(error: ValueError) -> str:
    """Say what a setting of the environment should be, or what the error says of itself."""
    pydantic = sys.modules.get("pydantic")  # loaded only by commands that have settings
    if pydantic is None or not isinstance(error, pydantic.ValidationError):
        return str(error)
    return "\n       ".join(f"HOLDOUT_{'_'.join(map(str, one['loc'])).upper()}: {one['msg']}" for one in error.errors())


def _is_of_the_store(error: Exception) -> bool:
    store = sys.modules.get("store.errors")  # as above
    return store is not None and isinstance(error, store.StoreError)
