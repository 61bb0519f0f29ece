"""The README shows generated tables and nothing else between its markers."""

import pytest

from scripts.update_readme import README, TABLES, with_tables


def test_the_readme_shows_the_generated_tables():
    text = README.read_text(encoding="utf-8")
    assert "<!-- table 1 -->" in text
    assert with_tables(text, TABLES.read_text(encoding="utf-8")) == text


def test_blocks_are_filled_by_number():
    tables = "# T\n\n| a |\n| --- |\n| 1 |\n\n- note\n\n## U\n\n| b |\n| --- |\n"
    readme = "x\n<!-- table 2 -->\nold\n<!-- /table -->\ny\n<!-- table 1 -->\n<!-- /table -->\n"
    second, first = "| b |\n| --- |\n", "| a |\n| --- |\n| 1 |\n"
    expected = f"x\n<!-- table 2 -->\n{second}<!-- /table -->\ny\n<!-- table 1 -->\n{first}<!-- /table -->\n"
    assert with_tables(readme, tables) == expected
    with pytest.raises(ValueError, match="asks for table 3 of 2"):
        with_tables("<!-- table 3 -->\n<!-- /table -->", tables)
