"""Recipe + shards -> checkpoints."""
