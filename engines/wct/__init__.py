"""Whitening and coloring transforms (Li et al., NIPS 2017): painting in any picture's style."""
