"""One net for many styles (Dumoulin, Shlens, Kudlur, ICLR 2017)."""
