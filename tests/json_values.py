"""Any JSON there is, and documents that look a little like the provider's: for properties."""

import json

from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
# Documents whose members have the provider's names and any values at all.
NAMES = ["id", "job_id", "status", "model", "output", "outputs", "url", "type", "credits_charged", "error", "message"]
DOCUMENTS = st.dictionaries(st.sampled_from(NAMES), JSON | st.dictionaries(st.sampled_from(NAMES), JSON))


def dumped(document: object) -> bytes:
    """JSON, whatever size its whole numbers have."""
    return json.dumps(document).encode()
