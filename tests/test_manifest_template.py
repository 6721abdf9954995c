"""Templates: prompts from columns, and nothing that could run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from manifests import error, prompts, read, written
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.template import FILTERS, PromptTemplate

COLUMNS = ["animal", "place", "Art style"]


def rendered(text: str, **cells: Any) -> str:
    return PromptTemplate.parse(text, COLUMNS).render({"animal": "fox", "place": "Rome"} | cells)


def test_a_template_builds_prompts_from_columns(tmp_path: Path) -> None:
    """Its columns are carried through, a column called prompt too."""
    path = written(tmp_path / "a.csv", "animal,Place,prompt\nfox,Rome,old\n")
    rows = read(path, template="a photo of {{ animal }} in {{ place }}")
    assert prompts(rows) == ["a photo of fox in Rome"]
    assert rows[0].columns == {"animal": "fox", "Place": "Rome", "prompt": "old"}


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("no column at all", "no column at all"),
        ("{{ ANIMAL }} & <b>", "fox & <b>"),
        ("{{ art_style }}", "oil & ink"),
        ("{{ animal | upper | replace('O', '0') }}", "F0X"),
        ("{{ animal | replace('o', 'a', count=1) | title }}", "Fax"),
        ("{# a note #}{{ animal }}{{ place | lower }}", "foxrome"),
        ("{{ size | default('large') }} {{ animal }}", "large fox"),
        ("{{ size | default }}{{ animal | capitalize }}", "Fox"),
        ("{{ number }}", "0"),
    ],
)
def test_columns_and_a_few_filters_are_taken(text: str, prompt: str) -> None:
    """As Jinja2 means them; text is not escaped, an empty cell takes its default."""
    template = PromptTemplate.parse(text, [*COLUMNS, "size", "number"])
    cells = {"animal": "fox", "place": "Rome", "Art style": "oil & ink", "size": " ", "number": 0}
    assert template.render(cells) == prompt


@given(animal=st.text(min_size=1).filter(str.strip), name=st.sampled_from(sorted(FILTERS - {"replace"})))
def test_a_filter_does_what_jinja_does(animal: str, name: str) -> None:
    """The law is jinja2's own renderer."""
    text = "a {{ animal | " + name + " }}!"
    assert rendered(text, animal=animal) == Environment(autoescape=True).from_string(
        "{% autoescape false %}" + text + "{% endautoescape %}"
    ).render(animal=animal)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ animal.__class__ }}", r"animal\.__class__ is not taken; a template takes plain columns"),
        ("{{ animal[0] }}", r"animal\[\.\.\.\] is not taken"),
        ("{{ animal() }}", r"animal\(\.\.\.\) is not taken"),
        ("{{ animal ~ place }}", r"the expression \(concat\) in line 1 is not taken"),
        ("{{ 'word' }}", "'word' is not taken"),
        ("{% for a in animal %}{% endfor %}", r"the statement \{% for %\} in line 1 is not taken"),
        ("{% set animal = 1 %}", r"the statement \{% assign %\} in line 1 is not taken"),
        ("{% include 'x' %}", r"the statement \{% include %\} in line 1 is not taken"),
        ("{{ animal | pprint }}", "filter pprint is not taken"),
        ("{{ animal | shout }}", "shout"),
        ("{{ animal | replace('a') }}", "filter replace can't be used like this"),
        ("{{ animal | replace(place, 'b') }}", "place in filter replace is not taken: write a plain value"),
        ("{{ animal | replace(*place) }}", "filter replace takes plain values only"),
        ("{{ animal ", "template: "),
        ("{{ colour }}", "there is no column colour; the manifest has animal, place, Art style"),
        ("{{ colour | default('red') }}", "there is no column colour"),
    ],
)
def test_anything_else_is_refused_with_the_piece_at_fault(text: str, said: str) -> None:
    """Before a row is read: a template is a form to fill in, not a program."""
    with pytest.raises(ConfigurationError, match=said):
        PromptTemplate.parse(text, COLUMNS)


def test_a_name_that_may_mean_two_columns_is_refused() -> None:
    """`a_b` stands for "a b" and for "a-b"."""
    with pytest.raises(ConfigurationError, match="a_b may mean each of a b, a-b"):
        PromptTemplate.parse("{{ a_b }}", ["a b", "a-b"])
    assert PromptTemplate.parse("{{ a_b }}", ["a b", "A_b"]).columns == ("A_b",)


def test_an_empty_cell_makes_its_row_invalid(tmp_path: Path) -> None:
    """A prompt with a hole in it would be paid for; the row's other problems are told too."""
    path = written(tmp_path / "a.csv", "animal,place,n\nfox,,9\ncat,Rome,1\n")
    rows = read(path, template="{{ animal }} in {{ place }}")
    assert error(rows[:1]) == "column place is empty, and the template needs it; n: 9 is more than 4"
    assert prompts(rows[1:]) == ["cat in Rome"]


def test_a_template_and_a_prompt_column_exclude_each_other(tmp_path: Path) -> None:
    """Only one of them can make the prompts."""
    path = written(tmp_path / "a.csv", "animal\nfox\n")
    with pytest.raises(ConfigurationError, match="a template and a prompt column are both given"):
        read(path, template="{{ animal }}", columns={"prompt": "animal"})
