"""The sections of a report: what the page's template writes down."""
