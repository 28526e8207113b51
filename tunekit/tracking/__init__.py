"""The MLflow projection of the record, and the local MLflow UI."""
