"""Training: one network in a run folder, a study of many, one after another or on Ray."""
