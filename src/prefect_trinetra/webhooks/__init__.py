"""Webhooks: the provider's POST of an ended job becomes a Prefect event, and the event wakes who waits for the job."""
