"""What any program like this leans on: files that are whole or absent, locks, checks of what is read. No science."""
