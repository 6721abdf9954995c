"""What a prompt, and any other text, may be. It is sent and hashed exactly as it was given."""

from __future__ import annotations

from typing import Final

__all__ = ["MAX_PROMPT_CHARACTERS", "checked_prompt", "checked_text"]

# The underlying model's public documentation; the provider's page gives none.
MAX_PROMPT_CHARACTERS: Final = 32_000
NO_TEXT: Final = "half a surrogate pair is no text: save the file as UTF-8"


def checked_prompt(prompt: str) -> str:
    """`prompt` as it is. Raises ValueError where it is blank, too long or no text."""
    if not prompt or prompt.isspace():
        raise ValueError("prompt is blank: write what the picture is to show")
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise ValueError(
            f"prompt has {len(prompt):,} characters, at most {MAX_PROMPT_CHARACTERS:,} are taken: shorten it"
        )
    if "\0" in prompt:
        raise ValueError("prompt holds a NUL character, which is no text: save the file as UTF-8")
    if not _is_text(prompt):
        raise ValueError(f"prompt: {NO_TEXT}")
    return prompt


def checked_text(value: str) -> str:
    """`value` as it is. Raises ValueError for text that no JSON can carry."""
    if not _is_text(value):
        raise ValueError(NO_TEXT)
    return value


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
