"""`harness run` and `harness predict` start without torch's compiler, and every family of encoders works so."""

import pytest

from harness.model.families import FAMILIES
from tests.fixtures.commands import FAST, python
from tests.fixtures.tiny import save_tiny

pytestmark = pytest.mark.process
COMPILER = "{'torch.distributed.tensor', 'torch._dynamo.eval_frame'}"
LEFT_OUT = f"{{'scipy.optimize', *{COMPILER}}}"


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


def test_a_run_imports_no_compiler(tiny_model, glue, tmp_path):
    """From its start to the end of its training; peft, which wants part of what was left out, trains afterwards."""
    where = [f"model.name={tiny_model}", f"data.path={glue}", f"results_dir={tmp_path}/r", f"cache_dir={tmp_path}/c"]
    options = ["task=rte", "model=local", "data=local", *FAST, *where]
    code = f"""
import sys
from harness.commands.run import main
status = main(["--multirun", "method=adapter,full", *{options}], owns_process=True)
print("ENDED", status, sorted({COMPILER} & set(sys.modules)), main(["method=peft", *{options}]))
"""
    done = python("-c", code)
    (ended,) = [line.split() for line in done.stdout.splitlines() if line.startswith("ENDED")]
    assert ended == ["ENDED", "0", "[]", "0"], done.stderr


def test_every_family_loads_and_runs_without_a_compiler(tmp_path):
    """And peft, which prediction needs for the banks of its methods, can be imported."""
    folders = [str(save_tiny(tmp_path / family, family)) for family in FAMILIES]
    code = f"""
from harness.light_imports import import_transformers
import_transformers()
import torch, peft
from transformers import AutoModel
with torch.inference_mode():
    for folder in {folders}:
        assert AutoModel.from_pretrained(folder)(torch.tensor([[1, 2, 3]])).last_hidden_state.isfinite().all()
from transformers.utils import is_scipy_available, is_torch_distributed_available
assert is_scipy_available() and is_torch_distributed_available() == torch.distributed.is_available()
"""
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
