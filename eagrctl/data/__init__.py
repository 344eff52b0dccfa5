"""What a labelled face is, where labelled faces come from, and how they are stored."""
