"""What surrounds training: devices, the warm-up before a fork, what is stored about the machine."""

import json
import subprocess
import sys

import torch

from training.environment import devices, environment
from training.export import load_safetensors


def test_looking_for_devices_leaves_cuda_untouched() -> None:
    """B099: a process that initialised CUDA cannot fork workers that use it."""
    assert devices()[0] == "cpu"
    assert not torch.cuda.is_initialized()  # type: ignore[no-untyped-call]


def test_the_environment_is_plain_json_and_names_what_the_numbers_depend_on() -> None:
    found = json.loads(json.dumps(environment("cpu"), allow_nan=False))
    assert found["torch"] == torch.__version__
    assert found["threads"] >= 1
    assert {"device", "device_name", "arithmetic", "python", "numpy"} <= found.keys()


def test_a_child_forked_after_the_warm_up_trains() -> None:
    """B099: with one thread a parent may train before it forks; a child does not hang."""
    code = """
import os, signal, torch
torch.set_num_threads(1)
from training.warmup import warm_up
warm_up()
assert torch.get_num_threads() == 1
child = os.fork()
if child == 0:
    signal.alarm(60)
    warm_up()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_weights_are_loaded_without_running_code() -> None:
    """B128: a pickle is refused, whatever it would do."""
    import pickle

    import pytest
    from safetensors import SafetensorError

    with pytest.raises(SafetensorError):
        load_safetensors(pickle.dumps({"weight": [1, 2, 3]}))
