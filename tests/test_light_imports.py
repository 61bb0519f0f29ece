"""`harness predict` starts without torch's compiler, and works with every family of encoders."""

import pytest

from harness.model.families import FAMILIES
from tests.fixtures.commands import python
from tests.fixtures.tiny import save_tiny

pytestmark = pytest.mark.process
LEFT_OUT = "{'scipy.optimize', 'torch.distributed.tensor', 'torch._dynamo.eval_frame'}"


def test_a_prediction_imports_no_compiler(bank, tiny_model, tmp_path):
    rows = tmp_path / "rows.txt"
    rows.write_text("They read the letter me.\n")
    code = f"""
import sys
from harness.commands.predict import main
status = main(["--bank", {str(bank)!r}, "--model", {str(tiny_model)!r}, "--task", "cola", "--input", {str(rows)!r}])
print("ENDED", status, sorted({LEFT_OUT} & set(sys.modules)))
"""
    done = python("-c", code)
    assert done.stdout.rpartition("ENDED")[2].split() == ["0", "[]"], done.stderr


def test_every_family_loads_and_runs_without_a_compiler(tmp_path):
    """And peft, which prediction needs for the banks of its methods, can be put into one of them."""
    folders = [str(save_tiny(tmp_path / family, family)) for family in FAMILIES]
    code = f"""
from harness.light_imports import import_transformers
import_transformers()
import torch
from transformers import AutoModel
from harness.method_config import PeftConfig
from harness.model.peft_methods import inject_peft
with torch.inference_mode():
    for folder in {folders}:
        assert AutoModel.from_pretrained(folder)(torch.tensor([[1, 2, 3]])).last_hidden_state.isfinite().all()
inject_peft(AutoModel.from_pretrained({folders[0]!r}), PeftConfig())
from transformers.utils import is_scipy_available, is_torch_distributed_available
assert is_scipy_available() and is_torch_distributed_available() == torch.distributed.is_available()
"""
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
