"""Scale-equivariant brain-tumour segmentation in MRI: `python -m experiments.tumour --help`."""
