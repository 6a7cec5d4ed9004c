"""One style in one net (Johnson, Alahi, Fei-Fei, ECCV 2016)."""
