"""The search: work units and engines, the coordinator, the record."""
