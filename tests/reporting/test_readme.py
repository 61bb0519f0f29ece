"""The README shows generated tables and nothing else between its markers."""

import pytest

from scripts.update_readme import README, with_tables


def test_the_readme_shows_the_generated_tables():
    text = README.read_text(encoding="utf-8")
    assert "<!-- minilm table 1 -->" in text and "<!-- minilm claims -->" in text
    assert with_tables(text) == text


def test_blocks_are_filled_by_folder_and_number(tmp_path):
    tables = {
        "one": "# T\n\n| a |\n| --- |\n| 1 |\n\n- note\n\n## U\n\n| b |\n| --- |\n",
        "two": "| c |\n| --- |\n",
    }
    for folder, text in tables.items():
        (tmp_path / folder / "tables").mkdir(parents=True)
        (tmp_path / folder / "tables/glue.md").write_text(text)
    readme = "x\n<!-- one table 2 -->\nold\n<!-- /table -->\ny\n<!-- two table 1 -->\n<!-- /table -->\n"
    filled = "x\n<!-- one table 2 -->\n| b |\n| --- |\n<!-- /table -->\ny\n<!-- two table 1 -->\n| c |\n| --- |\n"
    assert with_tables(readme, tmp_path) == filled + "<!-- /table -->\n"
    with pytest.raises(ValueError, match="asks for table 3 of 2 in results/one"):
        with_tables("<!-- one table 3 -->\n<!-- /table -->", tmp_path)


def test_statements_are_shown_in_short_and_those_without_a_run_are_counted(tmp_path):
    claims = [
        "statement,section,paper,here,interval,verdict,reason",
        '"Size, said to matter",3.6,2.0,+1.0,,not judged,one seed',
        "A,3.4,1.0,,,not run,",
        "B,3.4,1.0,,,not run,",
    ]
    (tmp_path / "one/tables").mkdir(parents=True)
    (tmp_path / "one/tables/claims.csv").write_text("\n".join(claims) + "\n")
    filled = with_tables("<!-- one claims -->\nold\n<!-- /table -->\n", tmp_path)
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in filled.splitlines()[3:-1]] == [
        ["Size, said to matter", "2.0", "+1.0", "–", "not judged"],
        ["2 more", "–", "–", "–", "not run"],
    ]
    assert filled.startswith("<!-- one claims -->\n| Statement") and filled.endswith("<!-- /table -->\n")
