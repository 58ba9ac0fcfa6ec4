"""Texts of a user's files and names, made harmless for a terminal."""


def printable(text: str, keep: str = "") -> str:
    """Escape what would control a terminal, turn its direction of writing or break a line; not what is in `keep`."""
    return "".join(sign if sign.isprintable() or sign in keep else ascii(sign)[1:-1] for sign in text)
