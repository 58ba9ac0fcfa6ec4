"""The commands, one file each; they parse and print, and compute nothing."""
