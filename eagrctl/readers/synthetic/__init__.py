"""The painter of synthetic faces.

`face` says what there is to decide, `draw` decides it, `canvas` is painted on, and `features` paints part by part.
"""
