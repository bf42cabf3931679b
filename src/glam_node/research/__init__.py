"""Tools for researchers: data sets, training, evaluation, and comparison with published values; no node needs them."""
