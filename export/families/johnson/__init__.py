"""One net for one style (Johnson, Alahi, Fei-Fei, ECCV 2016)."""
