"""Other people's weights: recognised, converted exactly or refused, fetched."""
