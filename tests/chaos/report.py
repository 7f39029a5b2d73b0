"""What a run says while it goes on and at its end."""

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.chaos.campaign import Findings

_BEGAN = time.monotonic()


def say(text: str) -> None:
    """Print a line with the seconds since the start."""
    sys.stdout.write(f"{time.monotonic() - _BEGAN:7.1f}  {text}\n")
    sys.stdout.flush()


def conclude(found: "Findings", kinds: list[str]) -> None:
    """Print what was injected, what was checked and what was found."""
    say("faults injected:")
    for name in kinds:
        say(f"    {name:28} {found.injected[name]:4d}")
    say(f"    {'together':28} {sum(found.injected.values()):4d}")
    say(f"jobs checked: {found.checked}; looks at them: {found.looks}; started again: {found.restarts}")
    say(f"orders of clients: {dict(found.orders)}")
    say(f"answers to the client: {dict(found.answers)}")
    for fault in found.faults:
        say(f"FAULT {fault}")
    say("PASSED" if not found.faults else f"FAILED: {len(found.faults)} faults of the service")
