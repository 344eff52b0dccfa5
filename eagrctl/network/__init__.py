"""The network of the paper, one file per box of its figures.

Shape letters: B images, C channels, H x W pixels of a feature map, V vertices, K and T as in the paper, N classes.
"""
