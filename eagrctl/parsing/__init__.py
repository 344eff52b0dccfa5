"""Any photo or video -> faces -> labels, masks, files."""
