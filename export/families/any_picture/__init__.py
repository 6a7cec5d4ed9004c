"""The style of any picture in one net (Ghiasi et al., BMVC 2017)."""
