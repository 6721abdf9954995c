"""Which column fills which field, and what stands where a row says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from manifests import error, prompts, read, requests, written
from prefect_trinetra.errors import ConfigurationError, ManifestError
from prefect_trinetra.manifest import Manifest
from prefect_trinetra.request import ImageParameters


def test_a_column_can_be_mapped_to_a_field(tmp_path: Path) -> None:
    """Case does not count; a column that bears the field's name is then only carried."""
    path = written(tmp_path / "a.csv", "Caption,prompt,ar\na fox,old,16:9\n")
    rows = read(path, columns={"Prompt": "caption", "aspect-ratio": "AR"})
    assert [(request.prompt, request.aspect_ratio) for request in requests(rows)] == [("a fox", "16:9")]
    assert rows[0].columns == {"prompt": "old"}


def test_a_mapped_column_fills_no_other_field(tmp_path: Path) -> None:
    """A column called user that holds the prompts is not sent as the end user too."""
    (request,) = requests(read(written(tmp_path / "a.csv", "user\na fox\n"), columns={"prompt": "user"}))
    assert (request.prompt, request.user) == ("a fox", None)


def test_a_field_can_be_told_to_take_no_column(tmp_path: Path) -> None:
    """A manifest of cars has a column `model` of its own."""
    path = written(tmp_path / "a.csv", "prompt,model\na car,Toyota\n")
    assert error(read(path)) == "model: 'toyota' is not gpt-image-2"
    rows = read(path, columns={"model": ""})
    assert (prompts(rows), rows[0].columns) == (["a car"], {"model": "Toyota"})


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"prompt": "text"}, "there is no column text to take prompt from; the manifest has id, caption"),
        ({"prompts": "caption"}, "a request has no field prompts to map a column to; it has aspect_ratio, "),
    ],
)
def test_a_mapping_that_leads_nowhere_is_one_clear_error(tmp_path: Path, columns: dict[str, str], said: str) -> None:
    """It says what there is."""
    with pytest.raises(ConfigurationError, match=said):
        Manifest.open(written(tmp_path / "a.csv", "id,caption\n1,a fox\n"), columns=columns)


def test_a_manifest_without_prompts_says_how_to_name_them(tmp_path: Path) -> None:
    """The message lists the columns and shows the option to use."""
    with pytest.raises(ManifestError, match=r"has no prompt column; it has id, caption\. .*--column prompt=NAME"):
        Manifest.open(written(tmp_path / "a.csv", "id,caption\n1,a fox\n"))


def test_every_file_must_have_the_prompts(tmp_path: Path) -> None:
    """The one that has none is named."""
    paths = [written(tmp_path / "a.csv", "prompt\nx\n"), written(tmp_path / "b.csv", "caption\nx\n")]
    with pytest.raises(ManifestError, match=r"b\.csv has no prompt column"):
        Manifest.open(paths)


def test_a_rows_cell_beats_the_parameters(tmp_path: Path) -> None:
    """Parameters stand where a cell is empty or there is no such column."""
    path = written(tmp_path / "a.csv", "prompt,quality\na,high\nb,\n")
    found = requests(read(path, parameters=ImageParameters(quality="low", n=3)))
    assert [(request.quality, request.n) for request in found] == [("high", 3), ("low", 3)]


def test_the_whole_request_must_fit_together(tmp_path: Path) -> None:
    """A row that contradicts the parameters is invalid and says so; its neighbour is not."""
    path = written(tmp_path / "a.csv", "prompt,output_format\na,png\nb,\n")
    rows = read(path, parameters=ImageParameters(output_format="webp", output_compression=50))
    assert error(rows[:1]).startswith("output_compression: only jpeg and webp are compressed")
    assert prompts(rows[1:]) == ["b"]


def test_every_problem_of_a_row_is_told_at_once(tmp_path: Path) -> None:
    """So that a manifest is corrected once, not once a problem; no validator's jargon, no address."""
    path = written(tmp_path / "a.csv", "prompt,quality,n,aspect_ratio\n ,ultra,2.5,wide\n")
    assert error(read(path)) == (
        "prompt is blank: write what the picture is to show; "
        "aspect_ratio: 'wide' is neither W:H (such as 16:9) nor auto; write raw:wide to send it unchecked; "
        "quality: 'ultra' is not low, medium, high or auto; n: '2.5' is not a whole number"
    )


def test_an_edit_takes_its_image_and_the_images_name(tmp_path: Path) -> None:
    """image_url and image_key are fields like the others."""
    path = written(tmp_path / "a.csv", "prompt,image_url,image_key\nx,https://h.example/1.png?sig=1,one\n")
    (request,) = requests(read(path))
    assert (request.image_url, request.image_key) == ("https://h.example/1.png?sig=1", "one")
