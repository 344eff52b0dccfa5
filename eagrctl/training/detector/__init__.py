"""The detector's training on `eagrctl.training.scenes`: recipe, targets and losses, the loop, and the measure."""
