"""Training of nets and export of engines; needs the extra `export`."""
