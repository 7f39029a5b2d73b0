"""Randomness is derived, not carried: a draw's seed is a hash of what the draw is for. Plain Python: plans draw rows where there is no torch."""

import hashlib


def derive(seed: int, *purpose: str | int) -> int:
    """Hash (seed, purpose...) to 63 bits with blake2b."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
