"""The kinds that ExtensionRef filters may name, one file each."""
