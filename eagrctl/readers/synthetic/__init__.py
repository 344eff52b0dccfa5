"""The painter of synthetic faces.

`face` draws what there is to decide, `canvas` is painted on, and `features` paints part by part.
"""
