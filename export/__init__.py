"""Train nets and export engines; needs the extra `export`."""
