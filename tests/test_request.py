"""A request: what each field takes, what is sent, and the key that must never change."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from prefect_trinetra.problems import problem_sentences
from prefect_trinetra.request import ImageParameters, ImageRequest, unsigned_url

IMAGE = "https://bucket.example/in/1.png"
GOLDEN_KEYS: list[tuple[ImageRequest, int, str]] = [
    (ImageRequest("a red fox"), 0, "498dbeaec72e18475c2fb13e9e912e70500f03dd3132ab12cfd78aa8b762fabd"),
    (ImageRequest("a red fox"), 1, "27120ee56747dfb64d11276b02b38880aad9b79f73abc5754b64675abd8eb208"),
    (
        ImageRequest("a red fox", quality="high", n=4),
        0,
        "c75456401a4c9d25c9548d55b031c1c092d1e51f86e54a7a2f310673eba48ad5",
    ),
    (
        ImageRequest("ein Fuchs im Schnee, 雪の狐 \U0001f98a", aspect_ratio="16:9"),
        0,
        "1598d2b43925d019f5b107de4f8748d491ebd16d3084df9e01d1b356c70e99e6",
    ),
    (ImageRequest(" a red fox\n"), 0, "e50a3ab92f35d268f8265599ed20b8c1fb6b10faa27c0e792060eccad09f3261"),
    (
        ImageRequest(
            "a sticker",
            background="transparent",
            output_format="webp",
            output_compression=0,
            moderation="low",
        ),
        2,
        "8b7eae26b6cd64f6b5c3c4600252962ca907ed2a18eeb7903f053102ca8c9e17",
    ),
    (
        ImageRequest("make it night", image_url=f"{IMAGE}?v=3&X-Amz-Signature=abc&X-Amz-Date=1"),
        0,
        "24d94f9fd5b5611f9fe8f723b62eec8fbbf1208002725bc23af3b270ed231376",
    ),
    (
        ImageRequest("make it night", image_url=IMAGE, image_key="scene-1"),
        0,
        "b2771748ef90aa1bcc6500619e6bdc4226c3d3320a6a2647aa0ba34482512c5e",
    ),
    (
        ImageRequest("a red fox", aspect_ratio="raw:auto-wide"),
        0,
        "042c1a7a9cc800484fdbe585e16a1ae81c754febcea51fbec5f82b2dc495020b",
    ),
]

prompts = st.text(min_size=1, max_size=60).filter(lambda text: text.strip() and "\0" not in text)
parameters = st.fixed_dictionaries(
    {},
    optional={
        "aspect_ratio": st.sampled_from(["1:1", "16:9", "auto", "raw:wide", "raw:1:1"]),
        "quality": st.sampled_from(["low", "medium", "high", "auto"]),
        "n": st.integers(1, 4),
        "background": st.sampled_from(["opaque", "auto"]),
        "output_format": st.sampled_from(["png", "jpeg", "webp"]),
        "moderation": st.sampled_from(["low", "auto"]),
        "user": st.none() | st.text("abc"),
        "image_url": st.none() | st.just(IMAGE),
    },
)


def problems(**fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        ImageRequest(**({"prompt": "a red fox"} | fields))
    return "; ".join(problem_sentences(caught.value))


@pytest.mark.parametrize(("request_", "sample", "key"), GOLDEN_KEYS)
def test_the_key_of_a_request_is_frozen(request_: ImageRequest, sample: int, key: str) -> None:
    """A key names images that were paid for: no release may change one of these."""
    assert request_.key(sample) == key


def test_a_key_can_be_computed_without_us() -> None:
    """It is the SHA-256 of v1 and canonical JSON: sorted, no spaces, UTF-8, only what is not the default."""
    canonical = 'v1{"model":"gpt-image-2","n":2,"prompt":"雪","sample":3}'
    assert ImageRequest("雪", n=2).key(3) == hashlib.sha256(canonical.encode()).hexdigest()


@given(prompt=prompts, fields=parameters, user=st.text())
def test_the_user_is_never_part_of_the_key(prompt: str, fields: dict[str, Any], user: str) -> None:
    """The same picture for another end user is the same picture."""
    assert ImageRequest(prompt, **(fields | {"user": user})).key() == ImageRequest(prompt, **fields).key()


@given(prompt=prompts, fields=parameters)
def test_a_default_that_is_written_out_is_the_default(prompt: str, fields: dict[str, Any]) -> None:
    """Saying quality=medium asks for what saying nothing asks for."""
    sparse = ImageRequest(prompt, **fields)
    full = ImageRequest(**sparse.model_dump())
    assert (full.key(), full.body()) == (sparse.key(), sparse.body())


@given(prompt=prompts, fields=parameters, samples=st.lists(st.integers(0, 99), unique=True, max_size=5))
def test_samples_have_keys_of_their_own(prompt: str, fields: dict[str, Any], samples: list[int]) -> None:
    """A sample is a repeat that is wanted, so it is bought separately."""
    request = ImageRequest(prompt, **fields)
    assert len({request.key(sample) for sample in samples}) == len(samples)


@given(prompt=prompts, fields=parameters, others=parameters)
def test_requests_of_one_key_send_one_body(prompt: str, fields: dict[str, Any], others: dict[str, Any]) -> None:
    """What is sent follows from the key's fields, `user` and `image_url`; so equal keys buy equal pictures."""
    one, other = ImageRequest(prompt, **fields), ImageRequest(prompt, **others)
    sent, others_sent = one.body(), other.body()
    for body in (sent, others_sent):
        body.pop("user", None)
    assert (one.key() == other.key()) == (sent == others_sent)


@given(
    signature=st.sampled_from(
        [
            {"X-Amz-Algorithm": "AWS4", "X-Amz-Date": "1", "X-Amz-Signature": "ab", "x-amz-expires": "9"},
            {"X-Goog-Credential": "me", "X-Goog-Signature": "ab"},
            {"AWSAccessKeyId": "me", "Expires": "9", "Signature": "ab"},
            {"GoogleAccessId": "me", "Expires": "9", "Signature": "ab"},
            {"Policy": "p", "Key-Pair-Id": "k", "Signature": "ab"},
            {"sv": "2024", "se": "tomorrow", "sr": "b", "sp": "r", "sig": "a/b=="},
        ]
    ),
    own=st.dictionaries(st.sampled_from(["v", "width", "name"]), st.text("ab /"), max_size=3),
)
def test_a_signature_is_never_part_of_the_key(signature: dict[str, str], own: dict[str, str]) -> None:
    """A URL that is signed anew for each run names the same image."""
    plain, signed = f"{IMAGE}?{urlencode(own)}", f"{IMAGE}?{urlencode(own | signature)}#top"
    assert ImageRequest("x", image_url=signed).key() == ImageRequest("x", image_url=plain).key()


def test_a_short_name_without_a_signature_beside_it_names_the_image() -> None:
    """`?st=1` and `?st=2` may be two pictures; only Azure's `sig` makes `st` a part of a signature."""
    assert unsigned_url(f"{IMAGE}?st=1&expires=never") == f"{IMAGE}?st=1&expires=never"
    assert unsigned_url(f"{IMAGE}?st=1&sig=x&v=2") == f"{IMAGE}?v=2"
    assert unsigned_url(None) is None


def test_the_name_of_an_image_stands_for_its_address() -> None:
    """image_key keeps the key when an image moves to another address; what is sent is the address."""
    here = ImageRequest("x", image_url="https://a.example/1", image_key="scene")
    there = ImageRequest("x", image_url="https://b.example/2", image_key="scene")
    assert here.key() == there.key() != ImageRequest("x", image_url="https://a.example/1").key()
    assert "image_key" not in here.body()


def test_what_decides_price_and_format_is_always_sent() -> None:
    """No default of the server decides what is paid; the rest is sent only when it is not the default."""
    assert ImageRequest("x").body() == {"prompt": "x", "quality": "medium", "n": 1, "output_format": "png"}
    assert ImageRequest("x", aspect_ratio="raw:21:9 wide").body()["aspect_ratio"] == "21:9 wide"


@given(prompt=prompts, fields=parameters)
def test_another_prompt_makes_what_a_new_request_would_be(prompt: str, fields: dict[str, Any]) -> None:
    """with_prompt is only a quicker way to the same value, with the same rules."""
    quick, slow = ImageRequest("y", **fields).with_prompt(prompt), ImageRequest(prompt, **fields)
    assert quick == slow
    assert (quick.key(), quick.body(), quick.model_dump_json()) == (
        slow.key(),
        slow.body(),
        slow.model_dump_json(),
    )


@pytest.mark.parametrize("prompt", ["", " \n\t", "x" * 32_001, "a\0b", "half \ud83d a pair"])
def test_another_prompt_obeys_the_rules_of_prompts(prompt: str) -> None:
    """A bad prompt is refused in either way."""
    with pytest.raises(ValueError, match=r"^prompt\b"):
        ImageRequest("y").with_prompt(prompt)
    assert problems(prompt=prompt).startswith("prompt")


@given(prompt=prompts)
def test_a_prompt_is_kept_as_it_is(prompt: str) -> None:
    """Not stripped, not normalised: it is sent and hashed exactly as given."""
    assert ImageRequest(prompt).body()["prompt"] == prompt


def test_choices_may_be_written_in_any_case() -> None:
    """Enums are trimmed and lower-cased, whole numbers may be text."""
    request = ImageRequest(" x ", quality=" High", n=" 2 ", output_format="WebP ", output_compression="0")
    assert request.body() == {
        "prompt": " x ",
        "quality": "high",
        "n": 2,
        "output_format": "webp",
        "output_compression": 0,
    }


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"quality": "ultra"}, "quality: 'ultra' is not low, medium, high or auto"),
        ({"background": "red"}, "background: 'red' is not transparent, opaque or auto"),
        ({"output_format": "gif"}, "output_format: 'gif' is not png, jpeg or webp"),
        ({"moderation": "off"}, "moderation: 'off' is not low or auto"),
        ({"model": "dall-e-9"}, "model: 'dall-e-9' is not gpt-image-2"),
        ({"n": 0}, "n: 0 is less than 1"),
        ({"n": "5"}, "n: 5 is more than 4"),
        ({"n": "2.5"}, "n: '2.5' is not a whole number"),
        ({"n": 2.5}, "n: 2.5 is not a whole number"),
        ({"n": True}, "n: True is not a whole number"),
        ({"n": [1]}, "n: [1] is not a whole number"),
        ({"output_compression": 101, "output_format": "jpeg"}, "output_compression: 101 is more than 100"),
        ({"user": 7}, "user: 7 is not text"),
        ({"user": "a\ud800"}, "user: half a surrogate pair is no text: save the file as UTF-8"),
        (
            {"image_url": IMAGE, "image_key": "\ud800"},
            "image_key: half a surrogate pair is no text: save the file as UTF-8",
        ),
        ({"seed": 1}, "seed: there is no such field"),
        (
            {"aspect_ratio": "16x9"},
            "aspect_ratio: '16x9' is neither W:H (such as 16:9) nor auto; write raw:16x9 to send it unchecked",
        ),
        ({"aspect_ratio": 1.5}, "aspect_ratio is text such as 16:9"),
        ({"aspect_ratio": "raw:"}, "aspect_ratio: 'raw:' is neither"),
        ({"aspect_ratio": "0:1"}, "aspect_ratio: '0:1' is neither"),
        ({"image_url": "ftp://x/y"}, "image_url must be an http or https address"),
        ({"image_key": "scene"}, "image_key names the image to edit, but image_url is missing"),
        ({"image_url": IMAGE, "image_key": " "}, "image_key is blank"),
        (
            {"background": "transparent", "output_format": "jpeg"},
            "background: transparent needs output_format png or webp",
        ),
        ({"output_compression": 5}, "output_compression: only jpeg and webp are compressed"),
        ({"n": 9, "quality": "x"}, "quality: 'x' is not low, medium, high or auto; n: 9 is more than 4"),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(fields: dict[str, Any], said: str) -> None:
    """Each message names the field, what was given and what is taken."""
    assert problems(**fields).startswith(said)


def test_a_request_needs_a_prompt() -> None:
    """Everything else has a default."""
    with pytest.raises(ValidationError) as caught:
        ImageRequest()
    assert problem_sentences(caught.value) == ["prompt is missing"]


def test_parameters_judge_only_what_was_said() -> None:
    """Flow-wide compression fits a manifest whose rows name their own format; a contradiction does not pass."""
    assert ImageParameters(output_compression=80).output_compression == 80
    with pytest.raises(ValidationError, match="only jpeg and webp"):
        ImageParameters(output_compression=80, output_format="png")


@pytest.mark.parametrize("value", [ImageRequest("x"), ImageParameters()])
def test_a_request_is_no_sequence(value: ImageParameters) -> None:
    """`.map` over a bare request must not submit its fields one by one."""
    with pytest.raises(TypeError, match=r"unmapped\("):
        iter(value)


def test_a_long_value_is_cut_short_in_a_message() -> None:
    """A message is not buried under a whole cell."""
    assert len(problems(quality="x" * 10_000)) < 150
