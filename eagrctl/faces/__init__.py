"""A photo's pixels, the faces in it, and their landmarks."""
