"""What a benchmark ran on: processor, memory, system, and the versions of two environments."""

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

_DISTRIBUTIONS = "import importlib.metadata as m, json; print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()}))"
_TORCH = "import json, torch; print(json.dumps([torch.__config__.show(), torch.backends.cpu.get_cpu_capability()]))"


def facts() -> dict[str, str]:
    """Describe this machine and the arithmetic of the interpreter that runs this."""
    configuration, capability = _said(sys.executable, _TORCH) or ("", "unknown")
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": _system(),
        "Python": platform.python_version(),
        "matrix products": ", ".join(_libraries(configuration)) or "unknown",
        "vector instructions": capability,
    }


def distributions(python: str) -> dict[str, str]:
    """List what an environment has installed, by name; nothing if there is no such interpreter."""
    found = _said(python, _DISTRIBUTIONS) or {}
    return {name: found[name] for name in sorted(found, key=str.lower)}


def java() -> str | None:
    """Give the version of the Java runtime, if there is one."""
    try:
        said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:
        return None
    found = re.search(r'version "([^"]+)"', said)
    return found.group(1) if found else None


def _said(python: str, program: str) -> Any:
    try:
        said = subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return json.loads(said)


def _libraries(configuration: str) -> list[str]:
    mkl = re.search(r"Math Kernel Library Version ([\d.]+)", configuration)
    onednn = re.search(r"MKL-DNN v([\d.]+)", configuration)
    blas = re.search(r"BLAS_INFO=(\w+)", configuration)
    found = [f"MKL {mkl.group(1)}"] if mkl else [f"BLAS {blas.group(1)}"] if blas else []
    return found + ([f"oneDNN {onednn.group(1)}"] if onednn else [])


def _processor() -> str:
    """Name the processor as the system does; virtual machines may hide the model, then by family and model number."""
    listed = Path("/proc/cpuinfo")
    if not listed.is_file():
        return platform.processor() or platform.machine()
    facts = dict(re.findall(r"^([^\t:]+)\t*: (.*)$", listed.read_text().split("\n\n")[0], re.MULTILINE))
    name = facts.get("model name", platform.machine())
    return f"{name} (family {facts['cpu family']}, model {facts['model']})" if {"cpu family", "model"} <= facts.keys() else name


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.platform(terse=True)
