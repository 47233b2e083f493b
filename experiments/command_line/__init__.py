"""The command line: options as dataclasses, and a parser made from them."""
