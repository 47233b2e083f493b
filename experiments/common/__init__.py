"""What every study shares: training, run folders, metrics, figures, report and command line."""
