"""The classes of reasons: a closed list, each of one outcome, each with something to do about it."""

from __future__ import annotations

from typing import get_args

import pytest

from prefect_trinetra.cli.options import parse_retry
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.flows.dataset import Retryable
from prefect_trinetra.flows.specs import dataset_spec
from prefect_trinetra.outcomes import RETRYABLE, Outcome
from prefect_trinetra.reasons import MEANINGS, RETRY_WORDS, ReasonClass, class_named, remedy, retry_words
from prefect_trinetra.spec import RunSpec


def test_every_class_has_a_meaning_and_something_to_do() -> None:
    """A new class needs both."""
    assert list(MEANINGS) == list(ReasonClass)
    assert all(meaning.words and meaning.remedy for meaning in MEANINGS.values())


def test_every_outcome_but_success_has_a_class() -> None:
    """So no row that did not succeed is without one."""
    assert {each.outcome for each in ReasonClass} == set(Outcome) - {Outcome.SUCCEEDED}


def test_a_word_means_an_outcome_or_a_class_and_never_both() -> None:
    """Rule: what stands after --retry is unambiguous."""
    assert not {outcome.value for outcome in Outcome} & {each.value for each in ReasonClass}


def test_what_may_be_retried_by_class_is_what_may_be_by_outcome() -> None:
    """A class that belongs to an outcome that is never retried is no word for --retry."""
    assert {word.outcome for word in RETRY_WORDS if isinstance(word, ReasonClass)} == RETRYABLE
    assert {word for word in RETRY_WORDS if isinstance(word, Outcome)} == RETRYABLE


def test_a_remedy_that_names_a_word_names_one_that_is_taken() -> None:
    """A person can copy it from failures.jsonl to the command line."""
    told = [meaning.remedy for meaning in MEANINGS.values()] + [remedy(outcome, None) for outcome in RETRYABLE]
    words = [said.partition("--retry ")[2] for said in told if "--retry " in said]
    assert words
    assert all(parse_retry([word]) for word in words)


def test_the_form_of_the_flow_offers_every_word() -> None:
    """In the same order."""
    assert get_args(Retryable) == tuple(word.value for word in RETRY_WORDS)


def test_outcomes_and_classes_may_be_mixed() -> None:
    assert parse_retry(["failed, no_answer", "UNKNOWN"]) == {Outcome.FAILED, ReasonClass.NO_ANSWER, Outcome.UNKNOWN}
    assert parse_retry(["none"]) == frozenset()


@pytest.mark.parametrize(
    "word", ["pending", "not_done", "succeeded", "over_cap", "invalid_row", "moderated", "account"]
)
def test_a_word_that_is_none_is_refused_with_the_choices(word: str) -> None:
    """One clear error on the command line, in the flow and in Python."""
    with pytest.raises(ConfigurationError, match=rf"--retry {word}: choose from .*no_answer.*, or none"):
        parse_retry([f"failed,{word}"])
    with pytest.raises(ConfigurationError, match=rf"retry names {word}: choose from .*no_answer"):
        dataset_spec(manifest=[], dataset="cats", retry=[word])
    with pytest.raises(ConfigurationError, match=rf"retry names {word}: choose from .*no_answer"):
        RunSpec([], "cats", retry=frozenset({word}))  # type: ignore[arg-type]  # what a caller without types may pass


def test_words_of_another_version_are_no_classes() -> None:
    """A ledger may be older or newer than the code."""
    assert class_named(None) is None
    assert class_named("of_a_later_version") is None
    assert class_named("account") is ReasonClass.ACCOUNT
    with pytest.raises(ValueError, match="choose from"):
        retry_words(["of_a_later_version"])
