"""The detector's training: cut-out heads and photos, composites of them, targets, losses, the loop, and the measure."""
