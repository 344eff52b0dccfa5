"""A landmark predictor of dlib's, trained and measured on label maps."""
