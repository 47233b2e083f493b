"""Results of a study: measured into one table, summarised, drawn and told in a report."""
