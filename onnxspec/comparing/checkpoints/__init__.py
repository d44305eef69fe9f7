"""The checkpoints of one training: the courses of its layers, and their transitions."""
