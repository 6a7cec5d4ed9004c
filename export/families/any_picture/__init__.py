"""One net for the style of any picture (Ghiasi et al., BMVC 2017)."""
