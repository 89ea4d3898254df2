"""A capture of any size as columns: one row a frame, read in windows (numpy)."""
