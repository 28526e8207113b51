"""The figures of a report, each with words that say what is seen."""
