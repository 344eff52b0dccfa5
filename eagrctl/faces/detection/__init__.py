"""Every face in a photo, with its box, its score and its landmarks: a small network, and how it looks at photos."""
