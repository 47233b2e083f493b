"""The data of the studies, images and volumes alike: found, checked, divided, prepared, augmented.

layouts         which files belong together, and what their labels mean
images, volumes one case in memory, as it is in its files
transforms      prepared for a network, and its answer brought back to the files' own grid
checks          faults that show before the work starts
split, order    which case is in which part, and in which order training sees them
augmentation    random changes of the training samples
module          all of it as Lightning takes it
generated       data made up on the spot
"""
