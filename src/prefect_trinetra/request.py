"""One validated call of the API: what may be asked, what is sent, and the key that names it."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from prefect_trinetra.prompts import MAX_PROMPT_CHARACTERS, checked_prompt, checked_text
from prefect_trinetra.signatures import unsigned_url
from prefect_trinetra.whole import Whole

__all__ = [
    "KEY_VERSION",
    "MAX_PROMPT_CHARACTERS",
    "MODEL",
    "Background",
    "ImageParameters",
    "ImageRequest",
    "Moderation",
    "OutputFormat",
    "Quality",
    "unsigned_url",
]

MODEL: Final = "gpt-image-2"
# A value with this prefix is sent as it stands, without the prefix and without the W:H check.
UNCHECKED: Final = "raw:"

KEY_VERSION: Final = "v1"
# Frozen for ever: a field equal to its value here is left out of the key, so that a field added later changes
# no old key.
KEY_V1_DEFAULTS: Final[dict[str, Any]] = {
    "aspect_ratio": "1:1",
    "quality": "medium",
    "n": 1,
    "background": "auto",
    "output_format": "png",
    "output_compression": None,
    "moderation": "auto",
    "image": None,
    "sample": 0,
}
ALWAYS_SENT: Final = frozenset({"prompt", "quality", "n", "output_format"})
# The model is in the address; the name of an image is ours.
NEVER_SENT: Final = frozenset({"model", "image_key"})


def _normal_choice(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


Quality = Annotated[Literal["low", "medium", "high", "auto"], BeforeValidator(_normal_choice)]
Background = Annotated[Literal["transparent", "opaque", "auto"], BeforeValidator(_normal_choice)]
OutputFormat = Annotated[Literal["png", "jpeg", "webp"], BeforeValidator(_normal_choice)]
Moderation = Annotated[Literal["low", "auto"], BeforeValidator(_normal_choice)]
Text = Annotated[str, AfterValidator(checked_text)]
Model = Annotated[Literal["gpt-image-2"], BeforeValidator(_normal_choice)]


class ImageParameters(Whole, BaseModel):
    """How pictures are to be made: every documented parameter but the prompt and the image to edit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    aspect_ratio: Text = Field(
        "1:1",
        title="Aspect ratio",
        description="Width to height as W:H, such as 16:9, or auto. 'raw:' before it sends it unchecked.",
    )
    quality: Quality = Field(
        "medium",
        title="Quality",
        description="Decides the price: low 3, medium 7, high 14 credits; auto is bounded by 14.",
    )
    n: int = Field(1, ge=1, le=4, title="Images per prompt", description="Number of images of one job, 1 to 4.")
    background: Background = Field(
        "auto", title="Background", description="transparent needs output_format png or webp."
    )
    output_format: OutputFormat = Field("png", title="Format", description="File format of the images.")
    output_compression: int | None = Field(
        None, ge=0, le=100, title="Compression", description="0 to 100, for jpeg and webp only."
    )
    moderation: Moderation = Field("auto", title="Moderation", description="How strictly prompts are moderated.")
    user: Text | None = Field(
        None,
        title="User",
        description="Stable end-user identifier for abuse monitoring. Not part of a request's key.",
    )

    @field_validator("n", "output_compression", mode="before")
    @classmethod
    def _whole_number(cls, value: object) -> object:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise ValueError(f"{value!r} is not a whole number")
        if isinstance(value, str):
            if not re.fullmatch(r"\s*[+-]?[0-9]{1,9}\s*", value):
                raise ValueError(f"{value!r} is not a whole number")
            return int(value)
        return value

    @field_validator("aspect_ratio", mode="before")
    @classmethod
    def _aspect_ratio(cls, value: object) -> object:
        if not isinstance(value, str):
            raise ValueError("aspect_ratio is text such as 16:9")  # noqa: TRY004  # pydantic reports ValueError only
        if value.startswith(UNCHECKED) and value != UNCHECKED:
            return value
        value = value.strip().lower()
        if value != "auto" and not re.fullmatch(r"[1-9][0-9]{0,4}:[1-9][0-9]{0,4}", value):
            raise ValueError(
                f"{value!r} is neither W:H (such as 16:9) nor auto; write {UNCHECKED}{value} to send it unchecked"
            )
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        # In a set of parameters only what was said can contradict itself: a row may still say the rest.
        said = set(type(self).model_fields) if self._is_complete() else self.model_fields_set
        if self.background == "transparent" and self.output_format == "jpeg" and "output_format" in said:
            raise ValueError(
                "background: transparent needs output_format png or webp, not jpeg; "
                "set one of them, or background opaque"
            )
        if self.output_compression is not None and self.output_format == "png" and "output_format" in said:
            raise ValueError(
                "output_compression: only jpeg and webp are compressed; set output_format jpeg or webp, or leave it out"
            )
        return self

    def _is_complete(self) -> bool:
        return False


class ImageRequest(ImageParameters):
    """One call of the API: a prompt, how its pictures are to be made, and maybe an image to edit.

    Source: the provider's page for gpt-image-2.
    """

    model: Model = Field(MODEL, title="Model", description="The provider's model.")
    prompt: str = Field(title="Prompt", description="Text of the desired picture, at most 32,000 characters.")
    image_url: Text | None = Field(
        None,
        title="Image to edit",
        description="http(s) URL of a png, webp or jpeg; switches to the edits endpoint.",
    )
    image_key: Text | None = Field(
        None,
        title="Image's name",
        description="Stands for image_url in the key, when the URL itself changes from run to run.",
    )

    def __init__(self, prompt: str | None = None, /, **fields: Any) -> None:
        if prompt is not None:
            fields["prompt"] = prompt
        super().__init__(**fields)

    @field_validator("prompt")
    @classmethod
    def _prompt(cls, value: str) -> str:
        return checked_prompt(value)

    @field_validator("image_url")
    @classmethod
    def _image_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value.strip())
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise ValueError("image_url must be an http or https address that the provider can fetch")
        return value.strip()

    @model_validator(mode="after")
    def _key_names_an_image(self) -> Self:
        if self.image_key is not None and self.image_url is None:
            raise ValueError("image_key names the image to edit, but image_url is missing: give both or neither")
        if self.image_key is not None and not self.image_key.strip():
            raise ValueError("image_key is blank: name the image, or leave it out")
        return self

    def _is_complete(self) -> bool:
        return True

    def with_prompt(self, prompt: str) -> Self:
        """The same request for another prompt, at half the cost of a new one. Raises ValueError."""
        return self.model_copy(update={"prompt": checked_prompt(prompt)})

    def body(self) -> dict[str, Any]:
        """The JSON body to POST: what decides price and format always, the rest unless it is the default."""
        fields: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name == "aspect_ratio":
                value = value.removeprefix(UNCHECKED)
            if name not in NEVER_SENT and (name in ALWAYS_SENT or value != field.default):
                fields[name] = value
        return fields

    def key(self, sample: int = 0) -> str:
        """The content address of this request and sample: 64 hexadecimal digits, the same for ever."""
        return hashlib.sha256(KEY_VERSION.encode() + self.canonical(sample)).hexdigest()

    def canonical(self, sample: int = 0) -> bytes:
        """What a key is made of: JSON of the model, the prompt and what differs from the defaults, sorted by name."""
        named = {
            "aspect_ratio": self.aspect_ratio.removeprefix(UNCHECKED),
            "quality": self.quality,
            "n": self.n,
            "background": self.background,
            "output_format": self.output_format,
            "output_compression": self.output_compression,
            "moderation": self.moderation,
            "image": self.image_key if self.image_key is not None else unsigned_url(self.image_url),
            "sample": sample,
        }
        content = {name: value for name, value in named.items() if value != KEY_V1_DEFAULTS[name]}
        content |= {"model": self.model, "prompt": self.prompt}
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
