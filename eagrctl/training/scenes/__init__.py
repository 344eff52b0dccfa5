"""What a detector learns from: heads cut out, photos and backgrounds as they are stored, and scenes made of them."""
