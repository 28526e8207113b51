"""The report: one self-contained HTML page on a study, for somebody who was not there."""
