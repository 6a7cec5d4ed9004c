"""Many styles in one net (Dumoulin, Shlens, Kudlur, ICLR 2017)."""
