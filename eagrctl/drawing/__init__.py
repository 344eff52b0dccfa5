"""Pictures that people look at: label maps, overlays, charts."""
