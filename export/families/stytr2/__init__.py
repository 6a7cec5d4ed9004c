"""StyTr2, a transformer for the style of any picture (Deng et al., CVPR 2022)."""
