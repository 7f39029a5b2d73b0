"""Run a campaign: `python -m tests.chaos --faults 25 --database postgresql --seed 1`."""

import argparse
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos.bodies import CHAOS_BODIES
from tests.chaos.campaign import Campaign
from tests.chaos.faults import FAULTS, kinds
from tests.chaos.report import conclude, say
from tests.chaos.system import running


def main() -> int:
    """Give 0 if the service held."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=25)
    parser.add_argument("--seed", type=int, default=None, help="chosen and printed if not given")
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--minutes", type=float, default=45, help="inject no fault after these")
    parser.add_argument("--only", choices=list(FAULTS), action="append", default=[], help="only faults of this kind; may be repeated")
    parser.add_argument("--body", choices=list(CHAOS_BODIES), action="append", default=[], help="only jobs of this kind; may be repeated")
    parser.add_argument("--home", type=Path, default=None, help="a new folder for data and logs; a temporary one if not given")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # which ends what was started
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    home = given.home or Path(tempfile.mkdtemp(prefix="chaos"))
    home.mkdir(parents=True, exist_ok=True)
    say(f"seed {seed}, {given.faults} faults on {given.database}; logs in {home / 'logs'}")
    with running(home, given.database) as system:
        say("the system is up")
        found = Campaign(system, seed, given.faults, given.minutes * 60, given.only, given.body).run()
    conclude(found, given.only or kinds(given.database))
    say(f"seed {seed}; logs in {home / 'logs'}")
    if not found.faults:
        shutil.rmtree(home)
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
