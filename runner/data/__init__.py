"""Datasets: where they come from, how they are verified, what a network sees of them.

Reading order: dataset, source, idx, cache, download, official, mnist, fashion_mnist, mnist5k,
digits, gates, curve, normal, inline, npz, table, file, catalog.
"""

from .catalog import DATASETS, fetch, verify
from .dataset import DataAbsent, DataError, Dataset, from_arrays

__all__ = ["DATASETS", "DataAbsent", "DataError", "Dataset", "fetch", "from_arrays", "verify"]
