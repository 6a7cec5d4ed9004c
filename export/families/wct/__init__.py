"""WCT: whitening and coloring transforms (Li et al., NIPS 2017)."""
