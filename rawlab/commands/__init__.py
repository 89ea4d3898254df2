"""What each command does: one module a command, from its arguments to what is printed. `cli` calls them."""
