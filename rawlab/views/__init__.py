"""Views: a story in, ink out. One file a view; those that tables are printed in are in `rendering`'s registry."""
