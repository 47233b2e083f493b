"""What every study shares: training, run folders, metrics, figures, the report and the command line."""
