"""Data: load a table, split its rows, preprocess its columns.

`sources` reads a `records.Table` from a file, scikit-learn, OpenML or a plugin; `prepare` turns it
into a `records.Problem` with the help of `columns`, `targets`, `splits` and `preprocessing`;
`store` hands the problem to worker processes.
"""
