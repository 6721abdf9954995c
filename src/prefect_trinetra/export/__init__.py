"""A dataset in the shape that training code loads: WebDataset, Parquet or an image folder, with its papers."""
