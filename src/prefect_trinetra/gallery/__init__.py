"""A page that shows a dataset: written beside the data, read by any browser, without a server."""
