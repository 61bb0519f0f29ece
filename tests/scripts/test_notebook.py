"""The notebook of the Python API: its cells run from first to last, and it is stored without output."""

import json
import tempfile

import pytest

from tests.conftest import ROOT

NOTEBOOK = ROOT / "scripts/python_api.ipynb"


def code_cells():
    return [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]


def test_it_is_stored_without_output():
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code_cells())


def test_its_cells_run_in_order(tiny_model, tmp_path, monkeypatch, capsys):
    """In this process, on a tiny encoder: a kernel would need 25 more packages and ten seconds."""
    monkeypatch.setattr(tempfile, "mkdtemp", lambda: str(tmp_path))
    tiny = f'options |= {{"model": "local", "model__name": "{tiny_model}", "device": "cpu", "train__batch_size": 16}}'
    names = {}
    for number, cell in enumerate(code_cells()):
        source = "".join(cell["source"]).replace("make_bank(results)", f"make_bank(results, model='{tiny_model}')")
        source = source.replace("bank=bank)", f"bank=bank, model='{tiny_model}')").replace("400", "32")
        exec(compile(source, f"cell {number}", "exec"), names)
        if number == 0:
            exec(tiny, names)
    assert [record["status"] for record in names["records"]] == ["completed"] * 4
    assert len(names["frame"]) == 4 and {one.task for one in names["predictions"]} == {"cola"}
    out = capsys.readouterr().out
    assert "| Adapters" in out and "did you mean learning_rate?" in out


@pytest.mark.process
def test_it_runs_in_a_kernel(tiny_model, monkeypatch, tmp_path):
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    import nbformat

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    extra = f'options |= {{"model": "local", "model__name": "{tiny_model}", "device": "cpu"}}'
    notebook.cells.insert(2, nbformat.v4.new_code_cell(extra))
    for cell in notebook.cells:
        cell.source = cell.source.replace("make_bank(results)", f"make_bank(results, model='{tiny_model}')")
        cell.source = cell.source.replace("bank=bank)", f"bank=bank, model='{tiny_model}')").replace("400", "32")
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "4 runs to do in 1 stack" in printed and "did you mean learning_rate?" in printed
