"""Files that pages are made of: read once, packed once, kept by browsers for ever under an address that names their content."""

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response

_FOLDER = Path(__file__).parent / "static"
_TYPES = MappingProxyType({".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"})
_IMPORT = re.compile(r'from "\./([a-z_]+\.js)"')
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A file as it is sent, and packed."""

    content: bytes
    packed: bytes
    media_type: str


@lru_cache(maxsize=1)
def assets() -> dict[str, Asset]:
    """Give every file by its path below the folder."""
    return {str(path.relative_to(_FOLDER)): _asset(path) for path in sorted(_FOLDER.rglob("*")) if path.is_file()}


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """Name the content of all files: scripts name one another, and so they change their address together."""
    digest = hashlib.sha256()
    for name, asset in assets().items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(asset.content).digest())
    return digest.hexdigest()[:16]


def imports(name: str) -> list[str]:
    """Give the scripts that a script needs, and those that these need, each once: a page names them all, so that they come at once."""
    found: list[str] = []
    for imported in _IMPORT.findall(assets()[name].content.decode()) if name in assets() else ():
        found += [one for one in (imported, *imports(imported)) if one not in found]
    return found


async def serve(request: Request) -> Response:
    """Send a file of this release. One of another release is not here: its page is to be loaded anew."""
    asset = assets().get(request.path_params["name"])
    if asset is None or request.path_params["fingerprint"] != fingerprint():
        return Response(status_code=404, headers={"Cache-Control": "no-store"})
    headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.packed, media_type=asset.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(asset.content, media_type=asset.media_type, headers=headers)


def _asset(path: Path) -> Asset:
    content = path.read_bytes()
    media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
    return Asset(content=content, packed=gzip.compress(content, mtime=0), media_type=media_type)
